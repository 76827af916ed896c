package uwsgiconf

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server/config"
	"go.uber.org/goleak"
)

// `go test ./server/uwsgiconf -update` rewrites the golden files and docs/from-uwsgi.md.
var update = flag.Bool("update", false, "rewrite generated files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const target = "/srv/ostler/made.toml"

// testSystem is a machine on which everything is known. Its files are those of testdata.
func testSystem() System {
	env := map[string]string{"HOME": "/home/op", "STAGE": "production"}
	in := func(path string) string { return filepath.Join("testdata", path) }
	return System{
		Stat:      func(path string) (fs.FileInfo, error) { return os.Stat(in(path)) },
		Open:      func(path string) (fs.File, error) { return os.Open(in(path)) },
		Glob:      func(string) ([]string, error) { return []string{"/a", "/b"}, nil },
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Dir:       "/srv/start", Hostname: "web1", CPUs: 8,
		UID: "1000", GID: "1001", User: "op", Group: "ops",
	}
}

func TestGolden(t *testing.T) {
	for _, name := range []string{"notes.ini", "site.ini", "logic.ini", "all.ini", "everyday.ini", "nothing.ini"} {
		t.Run(name, func(t *testing.T) {
			r, err := Import(testSystem(), name, target)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "testdata/"+strings.TrimSuffix(name, ".ini")+".toml", string(r.TOML))
			_, err = config.Parse(target, r.TOML)
			if (err == nil) != r.Serves {
				t.Errorf("Serves is %t, Parse says: %v", r.Serves, err)
			}
			if serves := name != "nothing.ini"; r.Serves != serves {
				t.Errorf("Serves is %t", r.Serves)
			}
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what is made now; look at it with git diff after: go test ./server/uwsgiconf -update", path)
	}
}

// The four forms are the same configuration; only the names of lines differ.
func TestFormsAgree(t *testing.T) {
	lines := regexp.MustCompile(`site\.(ini|yaml|json|xml)(:\d+)?`)
	made := func(name string) string {
		r, err := Import(testSystem(), name, target)
		if err != nil {
			t.Fatal(err)
		}
		return lines.ReplaceAllString(string(r.TOML), "site")
	}
	want := made("site.ini")
	for _, name := range []string{"site.yaml", "site.json", "site.xml", "site.xml:shop"} {
		if got := made(name); got != want {
			t.Errorf("%s gives\n%s\nand not\n%s", name, got, want)
		}
	}
}

// What the notes' file asks for is what is served.
func TestNotesMeanTheSame(t *testing.T) {
	r, err := Import(testSystem(), "notes.ini", target)
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse(target, r.TOML)
	if err != nil {
		t.Fatal(err)
	}
	const home = "/home/huaqiushi/Desktop/UniversalPlugin"
	if c.Chdir != home || c.Processes != 4 || c.Threads != 2 || !c.Master || !c.Vacuum || c.Module != "" ||
		len(c.Sockets) != 1 || c.Sockets[0].Proto != "uwsgi" || c.Sockets[0].Address.Addr != "127.0.0.1:8000" ||
		c.Stats.Addr != "127.0.0.1:8080" || c.Daemonize != home+"/uwsgi/uwsgi.log" || c.Pidfile != home+"/uwsgi/master.pid" {
		t.Errorf("%+v", c)
	}
	if r.Carried != 9 || r.Replaced != 1 || r.LeftOut != 0 {
		t.Errorf("%d carried, %d replaced, %d left out", r.Carried, r.Replaced, r.LeftOut)
	}
}
