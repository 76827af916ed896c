package collect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/seed17661985/ostler/server/static"
	"go.uber.org/goleak"
)

// collectEnv makes this test binary a collector of its value, "FROM:TO", that a test kills.
const collectEnv = "OSTLER_TEST_COLLECT"

func TestMain(m *testing.M) {
	if from, to, ok := strings.Cut(os.Getenv(collectEnv), ":"); ok {
		o := options(to, dir(from))
		o.Hashed = true
		if _, err := Run(unfinished{context.Background(), to}, o); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func dir(path string) Source { return Source{Name: path, FS: os.DirFS(path)} }

// memory is a source of name, content, name, content ...
func memory(name string, files ...string) Source {
	m := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		m[files[i]] = &fstest.MapFile{Data: []byte(files[i+1]), Mode: 0o644}
	}
	return Source{Name: name, FS: m}
}

func options(root string, sources ...Source) Options {
	return Options{Root: root, Sources: sources, URL: "/static/", Umask: 0o022}
}

// collect runs, and gives the notes as well.
func collect(t *testing.T, o Options) (Result, string) {
	t.Helper()
	var notes []string
	o.Note = func(line string) { notes = append(notes, line) }
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r, strings.Join(notes, "\n")
}

// refused wants an error that has all the words.
func refused(t *testing.T, o Options, words ...string) {
	t.Helper()
	_, err := Run(t.Context(), o)
	if err == nil {
		t.Fatal("no error")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// tree is what is in a folder, by name: contents, or where a symbolic link leads. The
// manifest is left out, and so are compressed files unless they are asked for.
func tree(t *testing.T, root string, packed bool) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // another process is at work
		}
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil || name == static.ManifestName || !packed && (strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".zst")) {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(path)
			all[name] = "-> " + to
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		all[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func names(files map[string]string) string {
	set := map[string]bool{}
	for name := range files {
		set[name] = true
	}
	return strings.Join(keys(set), " ")
}

func manifestOf(t *testing.T, root string) static.Manifest {
	t.Helper()
	r, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	m, err := static.ReadManifest(r)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
