package config

import (
	"encoding"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestValuesPrintWhatTheyRead(t *testing.T) {
	for _, tc := range []struct {
		into     encoding.TextUnmarshaler
		in, want string
	}{
		{new(Duration), "90s", "1m30s"}, {new(Duration), "1.5s", "1.5s"}, {new(Duration), "0s", "0s"},
		{new(Size), "1024KiB", "1MiB"}, {new(Size), "0B", "0B"}, {new(Size), "1TB", "976562500KiB"}, {new(Size), "1000B", "1000B"},
		{new(Size), "9223372036854775807B", "9223372036854775807B"}, {new(Size), "8388607TiB", "8388607TiB"},
		{new(FileMode), "7", "0007"}, {new(FileMode), "0777", "0777"},
		{new(Address), "[::1]:80", "[::1]:80"}, {new(Address), "[fe80::1%eth0]:80", "[fe80::1%eth0]:80"}, {new(Address), ":0", ":0"},
		{new(Address), "@x", "@x"}, {new(Address), "/a:b", "/a:b"}, {new(Address), "", ""}, {new(Address), "app.sock", "app.sock"},
	} {
		if err := tc.into.UnmarshalText([]byte(tc.in)); err != nil {
			t.Errorf("%s: %v", tc.in, err)
			continue
		}
		b, err := tc.into.(encoding.TextMarshaler).MarshalText()
		if err != nil || string(b) != tc.want {
			t.Errorf("%s: got %s, %v, want %s", tc.in, b, err, tc.want)
		}
	}
}

func TestAddressesKnowTheirKind(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1:1": "tcp loopback", "[::1]:1": "tcp loopback", "[::ffff:127.0.0.1]:1": "tcp loopback", "LOCALHOST:1": "tcp loopback",
		":1": "tcp", "0.0.0.0:1": "tcp", "example.com:1": "tcp", "10.0.0.1:1": "tcp",
		"/run/x": "unix loopback path", "./x": "unix loopback path", "@x": "unix loopback abstract",
	} {
		a, err := ParseAddress(text)
		got := a.Network
		for _, is := range []struct {
			yes  bool
			what string
		}{{a.IsLoopback(), " loopback"}, {a.IsUnixPath(), " path"}, {a.IsAbstract(), " abstract"}, {a.IsZero(), " zero"}} {
			if is.yes {
				got += is.what
			}
		}
		if err != nil || got != want || a.String() != a.Addr {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestControlPathNamesOneSocketPerFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	one, two := ControlPath("/srv/a/shop.toml"), ControlPath("/srv/b/shop.toml")
	if one == two || one != ControlPath("/srv/a/../a/shop.toml") {
		t.Errorf("%s and %s", one, two)
	}
	if filepath.Dir(one) != filepath.Join(dir, "ostler") || !strings.HasPrefix(filepath.Base(one), "shop-") || filepath.Ext(one) != ".ctl" {
		t.Errorf("got %s", one)
	}
	if got := len(filepath.Base(ControlPath("/srv/" + strings.Repeat("long", 50) + ".toml"))); got > 40 {
		t.Errorf("a name of %d bytes leaves the kernel's limit little room", got)
	}
	if filepath.Base(ControlPath("")) != "default.ctl" {
		t.Errorf("embedded default: %s", ControlPath(""))
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("something was created: %v, %v", entries, err)
	}
}

func TestControlPathIgnoresARelativeRuntimeDirectory(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "run")
	if p := ControlPath("a.toml"); !filepath.IsAbs(p) || !strings.Contains(filepath.Dir(p), "ostler") {
		t.Errorf("got %s", p)
	}
}
