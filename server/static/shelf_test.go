package static

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// found opens what a request for target finds.
func found(t *testing.T, f *Files, target string) *File {
	t.Helper()
	file := f.Find(httptest.NewRequest("GET", target, nil), "")
	if file == nil {
		t.Fatalf("%s is not found", target)
	}
	return file
}

func filesIn(t *testing.T, dir string) *Files {
	t.Helper()
	f, err := Open(Options{Places: []Place{{Path: dir}}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func isOpen(o *handle) bool {
	_, err := o.file.Stat()
	return err == nil
}

func TestAFileStaysOpenForAMoment(t *testing.T) {
	dir := folder(t, "a", "0123456789")
	synctest.Test(t, func(t *testing.T) {
		f := filesIn(t, dir)
		defer f.Close()
		one, two := found(t, f, "/a"), found(t, f, "/a")
		if one.content.handle != two.content.handle {
			t.Error("it is opened for each request")
		}
		part := make([]byte, 4)
		if _, err := io.ReadFull(&one.content, part); err != nil {
			t.Fatal(err)
		}
		if all, err := io.ReadAll(&two.content); string(all) != "0123456789" || err != nil {
			t.Errorf("who came second reads %q %v", all, err)
		}
		if _, err := io.ReadFull(&one.content, part); string(part) != "4567" || err != nil {
			t.Errorf("who came first goes on with %q %v", part, err)
		}
		_ = two.Close()
		time.Sleep(2 * moment)
		if next := found(t, f, "/a"); next.content.handle == one.content.handle {
			t.Error("the moment never ends")
		} else {
			_ = next.Close()
		}
		if !isOpen(one.content.handle) {
			t.Error("it is closed while somebody reads it")
		}
		if _ = one.Close(); isOpen(one.content.handle) {
			t.Error("it is open when nobody reads it any more")
		}
	})
}

func TestTheShelfHasAnEnd(t *testing.T) {
	const files = 2 * shelfRoom
	var list []string
	for n := range files {
		list = append(list, strconv.Itoa(n), "content")
	}
	dir := folder(t, list...)
	synctest.Test(t, func(t *testing.T) {
		f := filesIn(t, dir)
		var all []*handle
		for n := range files {
			file := found(t, f, "/"+strconv.Itoa(n))
			all = append(all, file.content.handle)
			_ = file.Close()
		}
		open := func() (n int) {
			for _, o := range all {
				if isOpen(o) {
					n++
				}
			}
			return n
		}
		if n := open(); n != shelfRoom {
			t.Errorf("%d of %d files are open, want %d", n, files, shelfRoom)
		}
		_ = f.Close()
		if n := open(); n != 0 {
			t.Errorf("%d files are open after the end", n)
		}
		late := &handle{file: all[0].file, users: 1}
		f.shelf.put(place{}, late) // of a request that outlasts Close
		f.shelf.leave(late)
		time.Sleep(2 * moment)
	})
}

// Whoever reads while a file is replaced by another gets all of one of them.
func TestAFileIsWholeWhileItIsReplaced(t *testing.T) {
	sizes := []int{10, 5_000, 200_000}
	content := func(n int) string { return strings.Repeat(strconv.Itoa(n), sizes[n]) }
	dir := folder(t, "a", content(0))
	h := opened(t, Options{Places: []Place{{Path: dir}}})
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		defer close(stop)
		for round := range 300 {
			next := filepath.Join(dir, ".next")
			if err := os.WriteFile(next, []byte(content(round%len(sizes))), 0o600); err != nil {
				t.Error(err)
			}
			if err := os.Rename(next, filepath.Join(dir, "a")); err != nil {
				t.Error(err)
			}
		}
	})
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				got := body(t, ask(h, "/a"))
				if got == "" || got != content(int(got[0]-'0')) {
					t.Errorf("%d bytes, the first %.1q", len(got), got)
					return
				}
			}
		})
	}
	group.Wait()
}

// Over a connection that knows nothing of views, such as one of package net, every answer is
// what it is over ours.
func TestEveryPartIsRightOverAnyConnection(t *testing.T) {
	var content strings.Builder
	for n := range 4000 {
		fmt.Fprintf(&content, "%05d", n)
	}
	dir := folder(t, "a", content.String())
	files := opened(t, Options{Places: []Place{{Path: dir}}})
	alone := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, err := OpenFile(filepath.Join(dir, "a"))
		if err != nil {
			t.Error(err)
			return
		}
		f.ServeHTTP(w, r)
	})
	for name, h := range map[string]http.Handler{"found": files, "by name": alone} {
		s := httptest.NewServer(h)
		defer s.Close()
		for range 3 {
			for header, want := range map[string]string{
				"X-None: y":              content.String(),
				"Range: bytes=5000-9999": content.String()[5000:10000],
				"If-None-Match: \"x\"":   content.String(),
			} {
				r, err := http.NewRequest("GET", s.URL+"/a", nil)
				if err != nil {
					t.Fatal(err)
				}
				key, value, _ := strings.Cut(header, ": ")
				r.Header.Set(key, value)
				res, err := s.Client().Do(r)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(res.Body); string(got) != want || err != nil {
					t.Errorf("%s, %s: %d bytes of %d, or others, %v", name, header, len(got), len(want), err)
				}
				_ = res.Body.Close()
			}
		}
	}
}

// What was sent whole a moment ago is in memory, unless it is large.
func TestWhatWasSentIsInMemory(t *testing.T) {
	dir := folder(t, "a", "content", "b", strings.Repeat("x", oneWrite+1), "large", strings.Repeat("x", memoryMost+1))
	synctest.Test(t, func(t *testing.T) { // the moment does not end
		f := filesIn(t, dir)
		defer f.Close()
		for name, want := range map[string]bool{"a": false, "b": true, "large": false} { // a travels with its head
			first := found(t, f, "/"+name)
			if first.content.InMemory() {
				t.Errorf("%s is in memory before it was read", name)
			}
			first.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/"+name, nil))
			next := found(t, f, "/"+name)
			if next.content.InMemory() != want {
				t.Errorf("%s is in memory: %t", name, !want)
			}
			_ = next.Close()
		}
	})
}

func TestASecondCloseTakesNobodysShare(t *testing.T) {
	f := filesIn(t, folder(t, "a", "content"))
	defer f.Close()
	one, two := found(t, f, "/a"), found(t, f, "/a")
	f.shelf.remove(place{one.tree, "a"}, one.content.handle)
	_, _ = one.Close(), one.Close()
	if !isOpen(two.content.handle) {
		t.Error("it is closed while another request reads it")
	}
	if _ = two.Close(); isOpen(two.content.handle) {
		t.Error("it stays open")
	}
}

// A link that leads elsewhere now is followed when the moment is over.
func TestALinkIsFollowedAnew(t *testing.T) {
	dir := folder(t, "one", "first", "two", "second")
	link := filepath.Join(dir, "link")
	if err := os.Symlink("one", link); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		h := opened(t, Options{Places: []Place{{Path: dir}}})
		if got := body(t, ask(h, "/link")); got != "first" {
			t.Errorf("%q", got)
		}
		if err := errors.Join(os.Remove(link), os.Symlink("two", link)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * moment)
		if got := body(t, ask(h, "/link")); got != "second" {
			t.Errorf("%q when the moment is over", got)
		}
	})
}
