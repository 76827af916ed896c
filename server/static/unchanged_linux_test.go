package static

import (
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
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
