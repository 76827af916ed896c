package master

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/worker/control"
)

func tcp(name string) Socket {
	return Socket{Socket: control.Socket{Name: name, Proto: "http"}, Uid: -1, Gid: -1}
}

func unixSocket(name string) Socket {
	return Socket{Socket: control.Socket{Name: name, Proto: "uwsgi"}, Uid: -1, Gid: -1}
}

// stale leaves a socket file behind that nobody listens on.
func stale(t *testing.T, path string) {
	t.Helper()
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
}

// holder starts another process that listens on path, and returns it and its end.
func holder(t *testing.T, path string) (pid int, end func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdEnv+"="+path)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	t.Cleanup(end)
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "listening\n" {
		t.Fatalf("the holder says %q", line)
	}
	return cmd.Process.Pid, end
}

func mustListen(t *testing.T, s Socket) *Bound {
	t.Helper()
	b, err := Listen(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(true) })
	return b
}

func TestAStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stale(t, path)
	b := mustListen(t, unixSocket(path))
	ln, err := b.Listener()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = got.Close()
}

func TestALiveSocketIsNotTaken(t *testing.T) {
	names := []string{filepath.Join(t.TempDir(), "s")}
	if peerPIDIsKnown {
		names = append(names, fmt.Sprintf("@ostler-master-test-%d", os.Getpid()))
	}
	for _, name := range names {
		pid, _ := holder(t, name)
		b, err := Listen(t.Context(), unixSocket(name))
		if err == nil {
			_ = b.Close(true)
			t.Fatalf("%s was taken from process %d", name, pid)
		}
		want := []string{"bind uwsgi socket " + name, "listens on it"}
		if peerPIDIsKnown {
			want = append(want, fmt.Sprintf("process %d", pid))
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q does not say %q", err, w)
			}
		}
		c, err := net.Dial("unix", name)
		if err != nil {
			t.Fatalf("the holder lost its socket: %v", err)
		}
		_ = c.Close()
	}
}

func TestAnAddressThatComesFreeIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	_, end := holder(t, path)
	time.AfterFunc(3*bindPause, end)
	b, err := listen(t.Context(), unixSocket(path), patience)
	if err != nil {
		t.Fatal(err)
	}
	_ = b.Close(true)

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(3*bindPause, func() { _ = ln.Close() })
	b, err = listen(t.Context(), tcp(ln.Addr().String()), patience)
	if err != nil {
		t.Fatal(err)
	}
	_ = b.Close(true)
}

func TestABusyPortIsAnError(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	addr := ln.Addr().String()
	if _, err := Listen(t.Context(), tcp(addr)); err == nil || err.Error() != "bind http socket "+addr+": address already in use" {
		t.Errorf("the error is %v", err)
	}
}

func TestWhatIsNoSocketIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	file, link, target := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "target")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	stale(t, target)
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	for path, what := range map[string]string{file: "regular file", link: "symbolic link", dir: "directory"} {
		if _, err := Listen(t.Context(), unixSocket(path)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestOfTwoStartersOneWins races for a stale path, the case in which both would find it
// free: they must never both believe that they own it.
func TestOfTwoStartersOneWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for round := range 30 {
		stale(t, path)
		var racing sync.WaitGroup
		var bound [4]*Bound
		for i := range bound {
			racing.Go(func() {
				b, err := listen(t.Context(), unixSocket(path), bindPause)
				var held *heldError
				if err != nil && !errors.As(err, &held) {
					t.Errorf("round %d: %v", round, err)
				}
				bound[i] = b
			})
		}
		racing.Wait()
		winners := 0
		for _, b := range bound {
			if b != nil {
				winners++
				if err := b.Close(true); err != nil {
					t.Error(err)
				}
			}
		}
		if winners != 1 {
			t.Fatalf("round %d: %d starters own the path", round, winners)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("round %d: the winner left its path: %v", round, err)
		}
	}
}

func TestVacuumRemovesOnlyWhatWasBound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	b := mustListen(t, unixSocket(path))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other := mustListen(t, unixSocket(path))
	if err := b.Close(true); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("another one's socket was removed: %v", err)
	}
	if err := other.Close(false); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("without vacuum the path goes too: %v", err)
	}
	if err := other.Close(true); err != nil { // a second time: nothing
		t.Error(err)
	}
}

func TestModeAndOwnerAreSet(t *testing.T) {
	s := unixSocket(filepath.Join(t.TempDir(), "s"))
	s.Mode, s.Uid, s.Gid = 0o620, os.Getuid(), os.Getgid()
	if os.Getuid() == 0 {
		s.Uid, s.Gid = 4711, 4712
	}
	b := mustListen(t, s)
	info, err := os.Lstat(s.Name)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm() != 0o620 || int(st.Uid) != s.Uid || int(st.Gid) != s.Gid {
		t.Errorf("mode %o, owner %d:%d", info.Mode().Perm(), st.Uid, st.Gid)
	}
	s.Mode = 0o666
	if err := b.adjust(s); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(s.Name); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("after a reload the mode is %v, %v", info.Mode(), err)
	}
}

func TestAPathThatIsTooLongIsNamedAsSuch(t *testing.T) {
	_, err := Listen(t.Context(), unixSocket("/"+strings.Repeat("x", 200)))
	if err == nil || !strings.Contains(err.Error(), "the path has 201 bytes") {
		t.Errorf("the error is %v", err)
	}
}

func TestABusyDirectoryIsNotWaitedForForEver(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lockDir(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 2*bindPause)
	defer cancel()
	if _, err := Listen(ctx, unixSocket(filepath.Join(dir, "s"))); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("the error is %v", err)
	}
}

func TestAChosenPortIsKnown(t *testing.T) {
	b := mustListen(t, tcp("127.0.0.1:0"))
	if strings.HasSuffix(b.Name, ":0") {
		t.Fatalf("the name is %s", b.Name)
	}
	c, err := net.Dial("tcp", b.Name)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestOneSocketThatCannotBeBoundTakesTheOthersBack(t *testing.T) {
	dir := t.TempDir()
	first, taken := filepath.Join(dir, "first"), filepath.Join(dir, "taken")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bindAll(t.Context(), []Socket{unixSocket(first), unixSocket(taken)}, nil); err == nil {
		t.Fatal("a regular file was replaced")
	}
	if _, err := os.Lstat(first); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the first socket is still there: %v", err)
	}
}
