package master

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed17661985/ostler/worker/control"
)

// A folder that somebody removed took the socket with it: the end of a server is not the
// place to complain.
func TestVacuumOfAFolderThatIsGone(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "ost") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	b, err := Listen(context.Background(), Socket{Socket: control.Socket{Name: filepath.Join(dir, "s")}, Uid: -1, Gid: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(true); err != nil {
		t.Error(err)
	}
}
