package master

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/stats"
)

// TestThePinnedProgramOutlivesItsFile: a respawn runs what its siblings run, whatever was
// copied over the file; the next reload takes what is there.
func TestThePinnedProgramOutlivesItsFile(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "app")
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	install := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(binary+".new", content, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(binary+".new", binary); err != nil {
			t.Fatal(err)
		}
	}
	install(program)
	i := start(t, Plan{Workers: 1, Sockets: []Socket{tcp("127.0.0.1:0")}})
	i.mu.Lock()
	i.binary = binary
	i.mu.Unlock()
	if _, err := i.Reload(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	install([]byte("this is no program"))
	o, err := i.Reload(t.Context(), nil)
	if err == nil || o.Step != StepCanary || !strings.Contains(o.Reason, "exec format error") {
		t.Errorf("reload to a broken file: %+v, %v", o, err)
	}
	before := i.Snapshot().Workers[0].PID
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s := i.await("the respawn", func(s stats.Snapshot) bool { return s.Ready == 1 && s.Workers[0].PID != before })
	if got := ask(t, s.Sockets[0].Name); got.Generation != 2 || !strings.HasPrefix(got.Name, "app: ") {
		t.Errorf("%+v answers", got)
	}
	if err := os.Remove(binary); err != nil {
		t.Fatal(err)
	}
	if o, err := i.Reload(t.Context(), nil); err == nil || o.Step != StepLoad {
		t.Errorf("reload to no file: %+v, %v", o, err)
	}
}

func TestSocketsComeAndGoWithReloads(t *testing.T) {
	dir := t.TempDir()
	kept, removed, added := filepath.Join(dir, "kept"), filepath.Join(dir, "removed"), filepath.Join(dir, "added")
	i := start(t, Plan{Workers: 1, Sockets: []Socket{unixSocket(removed), unixSocket(kept)}})
	keptFile, err := identify(kept)
	if err != nil {
		t.Fatal(err)
	}
	pid, end := holder(t, added)
	adjusted := unixSocket(kept)
	adjusted.Mode = 0o606
	i.change(func(p *Plan) { p.Sockets = []Socket{adjusted, unixSocket(added)} })
	o, err := i.Reload(t.Context(), nil)
	if err == nil || o.Step != StepBind || !strings.Contains(o.Reason, fmt.Sprintf("process %d", pid)) {
		t.Errorf("a socket that is taken: %+v, %v", o, err)
	}
	if info, err := os.Lstat(kept); err != nil || info.Mode().Perm() == 0o606 {
		t.Errorf("a rejected plan changed the mode: %v, %v", info.Mode(), err)
	}
	ask(t, removed)
	end()
	if _, err := i.Reload(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	i.await("the removed socket to go", func(stats.Snapshot) bool { _, err := os.Lstat(removed); return err != nil })
	if now, err := identify(kept); err != nil || *now != *keptFile {
		t.Errorf("the kept socket is another file: %v", err)
	}
	if info, err := os.Lstat(kept); err != nil || info.Mode().Perm() != 0o606 {
		t.Errorf("the new mode is not there: %v, %v", info.Mode(), err)
	}
	for _, path := range []string{kept, added} {
		if got := ask(t, path); got.Generation != 3 {
			t.Errorf("%s: generation %d answers", path, got.Generation)
		}
	}
	i.checkSockets()
}

func TestARejectedPlansSocketsAreTakenBack(t *testing.T) {
	dir := t.TempDir()
	old, added := filepath.Join(dir, "old"), filepath.Join(dir, "added")
	i := start(t, Plan{Workers: 1, Sockets: []Socket{unixSocket(old)}})
	i.change(func(p *Plan) {
		p.Sockets = append(p.Sockets[:1:1], unixSocket(added))
		p.Config = config(t, tinyConfig{Exit: 3})
	})
	if o, err := i.Reload(t.Context(), nil); err == nil || !strings.Contains(o.Reason, "exited with status 3") {
		t.Errorf("reload: %+v, %v", o, err)
	}
	i.await("the socket to go", func(stats.Snapshot) bool { _, err := os.Lstat(added); return err != nil })
	if got := ask(t, old); got.Generation != 1 {
		t.Errorf("generation %d answers", got.Generation)
	}
	i.change(func(p *Plan) {
		s := tcp(old)
		p.Sockets = []Socket{s}
	})
	if o, err := i.Reload(t.Context(), nil); err == nil || !strings.Contains(o.Reason, "serves uwsgi now") {
		t.Errorf("another protocol: %+v, %v", o, err)
	}
}

// TestFiftyReloadsLeakNothing counts descriptors and looks for zombies while somebody
// asks all the time.
func TestFiftyReloadsLeakNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	i := start(t, Plan{Workers: 2, Sockets: []Socket{unixSocket(path)}})
	quiet := func(s stats.Snapshot) bool { return s.Ready == 2 && i.processes() == 2 }
	if _, err := i.Reload(t.Context(), nil); err != nil { // whatever is opened once, is by now
		t.Fatal(err)
	}
	i.await("quiet", quiet)
	before, seen := descriptors(t), make(map[int]bool)
	reloads := 50
	if testing.Short() {
		reloads = 10
	}
	for range reloads {
		if _, err := i.Reload(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for _, pid := range pids(i.Snapshot()) {
			seen[pid] = true
		}
		i.checkSockets()
		ask(t, path)
	}
	s := i.await("quiet", quiet)
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	for _, pid := range pids(s) {
		delete(seen, pid)
	}
	for pid := range seen {
		if !gone(pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
	// The last answer was here before its worker had counted it.
	i.await("all requests are counted", func(s stats.Snapshot) bool { return requests(s) == uint64(reloads) })
}
