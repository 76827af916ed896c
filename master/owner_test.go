package master

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func permOf(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// TestAReloadChangesNoFileButTheSocket: the folder of a socket may belong to the user the
// workers run as, while the master is root.
func TestAReloadChangesNoFileButTheSocket(t *testing.T) {
	for what, swap := range map[string]func(victim, path string) error{
		"a symbolic link": os.Symlink,
		"a hard link":     os.Link,
		"another socket": func(_, path string) error {
			b, err := Listen(t.Context(), unixSocket(path))
			if err != nil {
				return err
			}
			t.Cleanup(func() { _ = b.Close(true) })
			return os.Chmod(path, 0o600)
		},
	} {
		dir := t.TempDir()
		victim, path := filepath.Join(dir, "victim"), filepath.Join(dir, "s")
		if err := os.WriteFile(victim, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s := unixSocket(path)
		b := mustListen(t, s)
		if err := errors.Join(os.Remove(path), swap(victim, path)); err != nil {
			t.Fatal(err)
		}
		s.Mode, s.Uid, s.Gid = 0o666, os.Getuid(), os.Getgid()
		if err := b.adjust(s); !errors.Is(err, errNotOurs) {
			t.Errorf("%s: the error is %v", what, err)
		}
		if mode := permOf(t, victim); mode != 0o600 {
			t.Errorf("%s: the victim has mode %o now", what, mode)
		}
		if mode := permOf(t, path); mode == 0o666 {
			t.Errorf("%s was given the mode of the socket", what)
		}
	}
}

// TestASocketIsNeverWiderThanAsked looks at the file between the bind and what follows it.
func TestASocketIsNeverWiderThanAsked(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can bind with a mode")
	}
	s := unixSocket(filepath.Join(t.TempDir(), "s"))
	s.Mode = 0o660
	b, err := bind(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(false)
	if mode := permOf(t, s.Name); mode != 0o600 {
		t.Errorf("before its group is set the mode is %o, want 600", mode)
	}
}
