package server_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/server/servertest"
)

// fences are the README's blocks of one language.
func fences(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```").FindAllSubmatch(text, -1) {
		blocks = append(blocks, string(m[1]))
	}
	return blocks
}

// theFence is the one block of the language that contains what it is known by.
func theFence(t *testing.T, language, known string) string {
	t.Helper()
	for _, block := range fences(t, language) {
		if strings.Contains(block, known) {
			return block
		}
	}
	t.Fatalf("README.md has no %s block with %q", language, known)
	return ""
}

// build compiles a main package of this module that is in no folder of it, as it
// would be in its own, but without asking the network for modules.
func build(t *testing.T, source, output string) {
	t.Helper()
	dir := t.TempDir()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "main.go")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "readme", "main.go"): file}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{file: source, filepath.Join(dir, "overlay"): string(overlay)} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-buildvcs=false", "-overlay", filepath.Join(dir, "overlay"), "-o", output, "./readme")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the README's program does not compile: %v\n%s\n%s", err, out, source)
	}
}

// What the README says after its smallest program does what it says.
func TestReadmeProgramAndCommands(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	build(t, theFence(t, "go", "package main"), filepath.Join(dir, "hello"))
	toml := theFence(t, "toml", "hello.pid")
	for _, port := range []string{"8000", "9191"} { // somebody may run it
		toml = strings.ReplaceAll(toml, ":"+port+`"`, fmt.Sprintf(`:%d"`, servertest.Port(t)))
	}
	if err := os.WriteFile(filepath.Join(dir, "hello.toml"), []byte(toml), 0o644); err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^    (\./hello .*)$`).FindAllStringSubmatch(string(readme), -1)
	if len(commands) != 6 {
		t.Fatalf("README.md has %d commands of ./hello, want 6", len(commands))
	}
	t.Cleanup(func() { _ = shell(dir, "./hello stop --now --config hello.toml").Run() })
	for _, c := range commands {
		if out, err := shell(dir, c[1]).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c[1], err, out)
		}
	}
}

func shell(dir, line string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = dir
	return cmd
}

func TestReadmeApp(t *testing.T) {
	t.Parallel()
	build(t, `package main

import (
	"context"
	"net/http"

	"github.com/seed17661985/ostler/server"
)

func openShop(context.Context) (http.Handler, error) { return http.NotFoundHandler(), nil }

func main() {
`+theFence(t, "go", "openShop")+"}\n", os.DevNull)
}

func TestReadmeFilesAreValid(t *testing.T) {
	t.Parallel()
	for n, block := range fences(t, "toml") {
		if _, err := config.Parse(fmt.Sprintf("README.md, toml block %d", n+1), []byte(block)); err != nil {
			t.Error(err)
		}
	}
	nginx := servertest.Peer(t, "nginx")
	dir := t.TempDir()
	text := "pid " + dir + "/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n"
	for _, module := range []string{"client_body", "proxy", "uwsgi", "fastcgi", "scgi"} {
		text += module + "_temp_path " + dir + "/" + module + ";\n"
	}
	text += "server {\nlisten 127.0.0.1:8080;\n" + theFence(t, "nginx", "uwsgi_pass") + "}\n}\n"
	text = strings.ReplaceAll(text, " uwsgi_params;", " /etc/nginx/uwsgi_params;") // relative to nginx.conf's own folder
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(nginx, "-t", "-e", "stderr", "-p", dir, "-c", filepath.Join(dir, "nginx.conf")).CombinedOutput(); err != nil {
		t.Errorf("nginx -t: %v\n%s", err, out)
	}
}

// Without a file the program serves where the README says. The addresses are
// fixed, so it gets a network of its own, where nobody else can have them.
func TestReadmeProgramWithoutAFile(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can make a network namespace")
	}
	unshare, nsenter := servertest.Peer(t, "unshare"), servertest.Peer(t, "nsenter")
	ip, curl := servertest.Peer(t, "ip"), servertest.Peer(t, "curl")
	if out, err := exec.Command(unshare, "-n", ip, "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Skipf("no network namespace to be had here: %v: %s", err, out)
	}
	dir := servertest.Dir(t)
	hello := filepath.Join(dir, "hello")
	build(t, theFence(t, "go", "package main"), hello)
	cmd := exec.Command(unshare, "-n", "sh", "-c", `"$1" link set lo up && exec "$0"`, hello, ip)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir) // for the control socket
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := untilStatsAreServed(log)
	for url, want := range map[string]string{"http://127.0.0.1:8000/": "Hello.", "http://127.0.0.1:9191/": `"workers"`} {
		out, err := exec.Command(nsenter, "-t", strconv.Itoa(cmd.Process.Pid), "-n", curl, "-sSf", url).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, want %s in:\n%s\nit said:\n%s", url, err, want, out, said)
		}
	}
	_ = cmd.Process.Signal(syscall.SIGINT) // Ctrl-C
	_, _ = io.Copy(io.Discard, log)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C it ended with %v, want exit code 0\n%s", err, said)
	}
}

// untilStatsAreServed reads a log up to the last line of a start.
func untilStatsAreServed(log io.Reader) string {
	var said strings.Builder
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
		if strings.Contains(lines.Text(), "proto=stats") {
			break
		}
	}
	return said.String()
}
