package static

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWhatHappensToAnOpenFileIsSeenAtOnce(t *testing.T) {
	another := func(name string) error {
		if err := os.WriteFile(name+".new", []byte("beside"), 0o600); err != nil {
			return err
		}
		return os.Rename(name+".new", name)
	}
	for how, c := range map[string]struct {
		do   func(name string) error
		want string // "": nothing is found
	}{
		"longer":   {func(name string) error { return os.WriteFile(name, []byte("longer than before"), 0o600) }, "longer than before"},
		"shorter":  {func(name string) error { return os.Truncate(name, 3) }, "bef"},
		"touched":  {func(name string) error { return os.Chtimes(name, time.Time{}, time.Unix(1, 0)) }, "before"},
		"replaced": {another, "beside"},
		"removed":  {os.Remove, ""},
	} {
		t.Run(how, func(t *testing.T) {
			dir := folder(t, "a", "before")
			f := filesIn(t, dir)
			defer f.Close()
			was := found(t, f, "/a")
			defer was.Close()
			if err := c.do(filepath.Join(dir, "a")); err != nil {
				t.Fatal(err)
			}
			now := f.Find(httptest.NewRequest("GET", "/a", nil), "")
			if now == nil {
				if c.want != "" {
					t.Error("nothing is found")
				}
				return
			}
			defer now.Close()
			if got, err := io.ReadAll(&now.content); string(got) != c.want || err != nil || now.content.handle == was.content.handle {
				t.Errorf("%q %v, want %q", got, err, c.want)
			}
		})
	}
}

// To be short of descriptors is no reason to say that a file is not there.
func TestWithoutADescriptorAFileIsUnavailable(t *testing.T) {
	dir := folder(t, "a.css", "content", "index.html", "welcome")
	var told []string
	h := opened(t, Options{Places: []Place{{Path: dir}}, Index: []string{"index.html"},
		Unavailable: func(name string, err error) { told = append(told, name+": "+err.Error()) }})
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was) })
	for _, target := range []string{"/a.css", "/"} {
		if res := ask(h, target); res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s is answered %s %q", target, res.Status, body(t, res))
		}
	}
	if _, err := OpenFile(filepath.Join(dir, "a.css")); !Unavailable(err) {
		t.Errorf("OpenFile: %v", err)
	}
	if len(told) != 2 || !strings.HasPrefix(told[0], filepath.Join(dir, "a.css")+": ") || !strings.Contains(told[0], "too many open files") {
		t.Errorf("it is said: %q", told)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if got := body(t, ask(h, "/a.css")); got != "content" {
		t.Errorf("afterwards: %q", got)
	}
}

// What may have to ask another machine is not kept, and not asked without a word.
func TestOnlyLocalFilesAreKept(t *testing.T) {
	for dir, want := range map[string]bool{folder(t, "a", "content"): true, "/proc/self": false} {
		name := "status"
		if want {
			name = "a"
		}
		f := filesIn(t, dir)
		file := found(t, f, "/"+name)
		if kept := f.shelf.take(place{file.tree, name}); (kept != nil) != want {
			t.Errorf("%s is kept: %t", dir, kept != nil)
		} else if kept != nil {
			f.shelf.leave(kept)
		}
		if _, _ = file.Close(), f.Close(); isOpen(file.content.handle) {
			t.Errorf("%s stays open", dir)
		}
	}
}
