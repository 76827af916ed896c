package server

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/worker/pool"
)

func TestFindApp(t *testing.T) {
	t.Parallel()
	shop, blog := Handler("shop", http.NotFoundHandler()), Handler("blog", http.NotFoundHandler())
	for _, c := range []struct {
		apps         []App
		module, want string // want "": an error
	}{
		{[]App{shop}, "", "shop"},
		{[]App{shop}, "shop", "shop"},
		{[]App{shop, blog}, "blog", "blog"},
		{[]App{shop, blog}, "", ""},
		{[]App{shop}, "Shop", ""},
		{[]App{shop}, "shop.wsgi:application", ""},
	} {
		got, err := findApp(c.apps, c.module)
		if got.Name != c.want || (err == nil) != (c.want != "") {
			t.Errorf("module %q of %s: %q, %v; want %q", c.module, appNames(c.apps), got.Name, err, c.want)
		}
		if err != nil && !strings.Contains(err.Error(), `"shop"`) {
			t.Errorf("%v does not name what there is", err)
		}
	}
}

func TestCheckApps(t *testing.T) {
	t.Parallel()
	ok := Handler("shop", http.NotFoundHandler())
	for name, apps := range map[string][]App{
		"none":     nil,
		"nameless": {{New: ok.New}},
		"no New":   {{Name: "shop"}},
		"twice":    {ok, ok},
	} {
		if checkApps(apps) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := checkApps([]App{ok}); err != nil {
		t.Error(err)
	}
}

func TestAllowFrom(t *testing.T) {
	t.Parallel()
	addr := func(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
	list := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		list []netip.Prefix
		peer net.Addr
		want bool
	}{
		{nil, addr("127.0.0.1:1"), true},
		{nil, addr("[::1]:1"), true},
		{nil, addr("[::ffff:127.0.0.1]:1"), true},
		{nil, addr("10.1.2.3:1"), false},
		{list, addr("10.1.2.3:1"), true},
		{list, addr("[::ffff:10.1.2.3]:1"), true},
		{list, addr("10.2.0.1:1"), false},
		{list, addr("[fd00::1]:1"), true},
		{list, addr("127.0.0.1:1"), false},
		{nil, &net.UnixAddr{Net: "unix"}, true},
	} {
		if got := allowFrom(c.list)(c.peer); got != c.want {
			t.Errorf("%v with %v: %t, want %t", c.peer, c.list, got, c.want)
		}
	}
}

// Whatever a client sends, a line of the access log is one line, and what it
// sent is inside its quotes.
func FuzzAccessLine(f *testing.F) {
	f.Add("GET", "/a?b", "agent", "ref")
	f.Add("G\"ET", "/\n200", "\x00\x85\u2028", "\\\"")
	f.Fuzz(func(t *testing.T, method, uri, agent, referer string) {
		r := &http.Request{Method: method, RequestURI: uri, Proto: "HTTP/1.1", RemoteAddr: "192.0.2.1:1", Header: http.Header{
			"User-Agent": {agent}, "Referer": {referer},
		}}
		if uri == "" {
			return // the line then shows the URL, which this request has not
		}
		res := pool.Result{Status: 200, Start: time.Unix(0, 0).UTC()}
		line := string(appendCombinedLine(nil, r, res))
		if strings.Count(line, "\n") != 1 || strings.Count(line, `"`) != 6 || strings.ContainsAny(line[:len(line)-1], "\r\x00\x1b\u0085\u2028") {
			t.Fatalf("forged: %q", line)
		}
		if json := appendJSONLine(nil, r, res); strings.Count(string(json), "\n") != 1 {
			t.Fatalf("forged: %q", json)
		}
	})
}

func TestPidfileOfACrashIsReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(path, []byte("1\n"), 0o644); err != nil { // a process that lives and is not ours
		t.Fatal(err)
	}
	p, err := lockPidfile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockPidfile(path); err == nil || !strings.Contains(err.Error(), "pid 1") {
		t.Errorf("a held pidfile was locked again: %v", err)
	}
	if err := p.write(4711); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "4711\n" {
		t.Errorf("pidfile says %q", text)
	}
	if _, err := lockPidfile(path); err == nil || !strings.Contains(err.Error(), "pid 4711") {
		t.Errorf("the lock did not move with the rename: %v", err)
	}
	if err := p.release(true); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the pidfile is left behind")
	}
}

// A pidfile that another instance wrote meanwhile is not ours to remove.
func TestPidfileOfAnotherIsLeftAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	p, err := lockPidfile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.write(1); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.release(true); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "2\n" {
		t.Errorf("the other instance's pidfile is %q now", text)
	}
}

func TestPidfileThroughALinkIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target, link := filepath.Join(dir, "precious"), filepath.Join(dir, "pid")
	if err := os.WriteFile(target, []byte("keep"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if _, err := lockPidfile(link); err == nil {
		t.Error("a symbolic link was followed")
	}
}

func TestTouchSeesEveryKindOfChange(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	files := newTouchFiles([]string{path})
	stamp := time.Unix(1e9, 0)
	write := func() error { return errors.Join(os.WriteFile(path, nil, 0o644), os.Chtimes(path, stamp, stamp)) }
	for _, step := range []struct {
		what string
		do   func() error
		want bool
	}{
		{"nothing is there", func() error { return nil }, false},
		{"it appears", write, true},
		{"nothing happens", func() error { return nil }, false},
		{"its time is set back", func() error { return os.Chtimes(path, stamp, stamp.Add(-time.Second)) }, true},
		{"it goes away", func() error { return os.Remove(path) }, false},
		{"it comes back", write, true},
		{"another takes its place with the same time", func() error {
			other := path + ".new"
			return errors.Join(os.WriteFile(other, nil, 0o644), os.Chtimes(other, stamp, stamp), os.Rename(other, path))
		}, true},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got := len(files.look()) > 0; got != step.want {
			t.Errorf("%s: changed = %t, want %t", step.what, got, step.want)
		}
	}
}

// The folder of a log may belong to the user that workers run as, who could put
// a link to one of root's files where the log should be.
func TestLogOfAnotherUserFollowsNoLink(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	nobody := &master.Credential{Uid: 65534, Gid: 65534}
	dir := t.TempDir()
	secret, link, fresh := filepath.Join(dir, "secret"), filepath.Join(dir, "link"), filepath.Join(dir, "fresh")
	if err := errors.Join(os.WriteFile(secret, nil, 0o600), os.Symlink(secret, link)); err != nil {
		t.Fatal(err)
	}
	if f, err := openFor(nobody, link); err == nil {
		f.Close()
		t.Error("a link was followed")
	}
	owner := func(path string) uint32 {
		t.Helper()
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return st.Sys().(*syscall.Stat_t).Uid
	}
	for path, want := range map[string]uint32{secret: 0, fresh: 65534} {
		f, err := openFor(nobody, path)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if got := owner(path); got != want {
			t.Errorf("%s belongs to %d now, want %d", path, got, want)
		}
	}
}

func TestCredentialOfOurselvesIsNone(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.UID, cfg.GID = strconv.Itoa(os.Geteuid()), strconv.Itoa(os.Getegid())
	if cred, err := credential(cfg); cred != nil || err != nil {
		t.Errorf("%v, %v; an unprivileged master could not even set what it has", cred, err)
	}
}
