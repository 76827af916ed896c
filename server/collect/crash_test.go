package collect

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// many writes n files below from, each with text in it.
func many(t *testing.T, from string, n int, text string) {
	t.Helper()
	for i := range n {
		write(t, fileOf(from, i), strings.Repeat(fmt.Sprintf("%s %d\n", text, i), 20+i%100))
	}
}

func fileOf(dir string, i int) string {
	ext := []string{".css", ".txt", ".png"}[i%3]
	return filepath.Join(dir, fmt.Sprintf("d%d", i%20), fmt.Sprintf("f%d%s", i, ext))
}

func TestTenThousandFilesTheSecondTime(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 files")
	}
	from, root := t.TempDir(), t.TempDir()
	const n = 10_000
	many(t, from, n, "first")
	o := options(root, dir(from))
	began := time.Now()
	r, _ := collect(t, o)
	first := time.Since(began)
	if r.Files != n || r.Copied != n || r.Compressed == 0 {
		t.Fatalf("first run: %+v", r)
	}
	began = time.Now()
	r, _ = collect(t, o)
	second := time.Since(began)
	if r != (Result{Files: n, Unchanged: n}) {
		t.Fatalf("second run: %+v", r)
	}
	if second > first {
		t.Errorf("the second run took longer than the first: %s and %s", second, first)
	}
	t.Logf("%d files: first run %s, second %s, ratio %.2f", n, first, second, second.Seconds()/first.Seconds())
}

// unfinished is the context of a run that is to be killed: it comes to the last of the plain
// names and no further, however late who kills it is.
type unfinished struct {
	context.Context
	root string
}

func (u unfinished) Err() error {
	if isSecond(fileOf(u.root, 89)) { // by name, it is the last but one of many
		<-time.After(2 * time.Minute)
	}
	return u.Context.Err()
}

// isSecond tells the second version of a file of many by its first line.
func isSecond(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var first [8]byte
	_, _ = io.ReadFull(f, first[:])
	return string(first[:]) == "second, "
}

// A run is killed at several moments. What is there is whole at each of them, the manifest
// speaks of the collection before, and the next run that is let alone completes the new one.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	from, root := t.TempDir(), t.TempDir()
	const n = 200
	many(t, from, n, "first")
	o := options(root, dir(from))
	o.Hashed = true
	collect(t, o)
	before := manifestOf(t, root)
	many(t, from, n, "second, which is longer")
	for _, part := range []int{1, 60, 170} {
		killAt(t, from, root, n, part)
		whole(t, root)
		m, files := manifestOf(t, root), tree(t, root, true)
		if len(m.Assets) != n || m.Assets["d0/f0.css"] != before.Assets["d0/f0.css"] {
			t.Fatalf("after %d files the manifest names %d assets, and d0/f0.css is %s", part, len(m.Assets), m.Assets["d0/f0.css"])
		}
		for plain, hashed := range m.Assets {
			if !strings.HasPrefix(files[hashed], "first ") {
				t.Fatalf("%s is %s, with %.20q in it", plain, hashed, files[hashed])
			}
		}
		if len(m.Files) <= len(before.Files) {
			t.Errorf("the manifest does not know what the killed run has put there")
		}
	}
	o.Clear = true
	if r, _ := collect(t, o); r.Copied == 0 || r.Unchanged == 0 || r.Copied+r.Unchanged != 2*n {
		t.Errorf("the run after the kills: %+v", r)
	}
	files := tree(t, root, false)
	if len(files) != 2*n {
		t.Errorf("%d files, want %d", len(files), 2*n)
	}
	for name, text := range files {
		if strings.HasPrefix(name, ".") || !strings.HasPrefix(text, "second, ") {
			t.Errorf("%s is left, with %.20q in it", name, text)
		}
	}
	whole(t, root)
	if r, _ := collect(t, o); r != (Result{Files: 2 * n, Unchanged: 2 * n}) {
		t.Errorf("and again: %+v", r)
	}
}

// killAt lets another process collect and kills it when it has written so many files.
func killAt(t *testing.T, from, root string, n, files int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), collectEnv+"="+from+":"+root)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for replaced(root, n) < files && ctx.Err() == nil {
		<-tick.C
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatalf("it ended by itself: %v", err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("it had ended by itself")
	}
}

// replaced counts the files of many that are of the second version, which is longer.
func replaced(root string, n int) (count int) {
	for i := range n {
		if isSecond(fileOf(root, i)) {
			count++
		}
	}
	return count
}

// whole checks that no file is a part of one, and that siblings are of their file.
func whole(t *testing.T, root string) {
	t.Helper()
	files := tree(t, root, true)
	for name, text := range files {
		if strings.HasPrefix(name, ".") {
			continue // not whole yet, and not served
		}
		if plain, ok := strings.CutSuffix(name, ".gz"); ok {
			z, err := gzip.NewReader(strings.NewReader(text))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got, err := io.ReadAll(z); err != nil || string(got) != files[plain] {
				t.Errorf("%s is not of %s, %v", name, plain, err)
			}
			continue
		}
		if strings.HasSuffix(name, ".zst") {
			continue
		}
		line, _, _ := strings.Cut(text, "\n")
		if text != strings.Repeat(line+"\n", strings.Count(text, "\n")) || strings.Count(text, "\n") < 20 {
			t.Errorf("%s is a part of a file: %.40q, %d bytes", name, text, len(text))
		}
	}
}
