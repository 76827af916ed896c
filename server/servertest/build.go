package servertest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Build is a program that was built from a revision of its own.
type Build struct {
	ID   string // as it says itself
	path string
}

// builds are made once for all tests of a process; Main removes them.
var builds struct {
	mu   sync.Mutex
	dir  string
	made map[string][2]Build
}

// Builds gives two builds of the main package in folder, as an application's own
// repository would bring them forth: they differ in the revision they are of. They are
// without the race detector, and so start many times faster than the test binary.
func Builds(t testing.TB, folder string) [2]Build {
	t.Helper()
	Peer(t, "git")
	builds.mu.Lock()
	defer builds.mu.Unlock()
	if b, ok := builds.made[folder]; ok {
		return b
	}
	if builds.dir == "" {
		dir, err := os.MkdirTemp("", "ost")
		if err != nil {
			t.Fatal(err)
		}
		builds.dir, builds.made = dir, make(map[string][2]Build)
	}
	b, err := buildTwice(folder, filepath.Join(builds.dir, fmt.Sprint(len(builds.made))))
	if err != nil {
		t.Fatal(err)
	}
	builds.made[folder] = b
	return b
}

func removeBuilds() error {
	if builds.dir == "" {
		return nil
	}
	return os.RemoveAll(builds.dir)
}

func buildTwice(folder, dir string) (b [2]Build, err error) {
	source := filepath.Join(dir, "source")
	if err := layOut(source, folder); err != nil {
		return b, err
	}
	if _, err := tool(source, "git", "init", "-q"); err != nil {
		return b, err
	}
	for n := range b {
		b[n].path = filepath.Join(dir, fmt.Sprint("build", n))
		b[n].ID, err = commitAndBuild(source, b[n].path, fmt.Sprint("revision ", n))
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

// layOut makes a module of folder that uses the ostler around this test, at the versions
// that it uses, all of which are there.
func layOut(source, folder string) error {
	if err := os.CopyFS(source, os.DirFS(folder)); err != nil {
		return err
	}
	mod, err := tool(".", "go", "env", "GOMOD")
	if err != nil {
		return err
	}
	root := filepath.Dir(mod)
	text, err := os.ReadFile(mod)
	if err != nil {
		return err
	}
	const ostler = "github.com/seed17661985/ostler"
	_, rest, _ := strings.Cut(string(text), "module "+ostler+"\n")
	own := fmt.Sprintf("module app\n%s\nrequire %s v0.0.0\n\nreplace %[2]s => %s\n", rest, ostler, root)
	if err := os.WriteFile(filepath.Join(source, "go.mod"), []byte(own), 0o644); err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(source, "go.sum"), sums, 0o644)
}

func commitAndBuild(source, path, message string) (id string, err error) {
	for _, c := range [][]string{
		{"git", "add", "."},
		{"git", "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "-q", "--allow-empty", "--no-gpg-sign", "-m", message},
		{"go", "build", "-buildvcs=true", "-ldflags=-s -w", "-o", path, "."},
	} {
		if _, err := tool(source, c...); err != nil {
			return "", err
		}
	}
	revision, err := tool(source, "git", "rev-parse", "HEAD")
	return revision[:min(12, len(revision))], err
}

// tool runs a developer's tool. Nobody's configuration and no network is asked.
func tool(dir string, command ...string) (string, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, errs.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// Deploy puts the program at path, as a deploy does: beside the one that may be running,
// then in its place. What is added comes after the program's end, where nothing of it is
// executed, but where it may look.
func (b Build) Deploy(t testing.TB, path string, added ...string) {
	t.Helper()
	text, err := os.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	Put(t, path, append(text, strings.Join(added, "")...), 0o755)
}

// Put is Deploy of any bytes.
func Put(t testing.TB, path string, text []byte, mode os.FileMode) {
	t.Helper()
	// A process that is forked meanwhile would have the file open for writing until it
	// executes its own program, and nobody can execute a file that somebody may write.
	syscall.ForkLock.RLock()
	err := os.WriteFile(path+".new", text, mode)
	syscall.ForkLock.RUnlock()
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Command runs a command of the program about an instance, and returns what it printed
// and its exit code.
func (b Build) Command(i *Instance, args ...string) (output string, code int) {
	i.t.Helper()
	return run(i.t, b.path, append(args, "--config", i.Config)...)
}
