package server_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
	"golang.org/x/sys/unix"
)

// manager reads what systemd would.
type manager struct {
	t    *testing.T
	addr string
	conn *net.UnixConn
}

func newManager(t *testing.T, addr string) *manager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &manager{t, addr, conn}
}

// as is a process that is started by m.
func (m *manager) as(env ...string) servertest.Process {
	return servertest.Process{Env: append(env, "NOTIFY_SOCKET="+m.addr)}
}

// hears is the next datagram, its fields set apart by bars.
func (m *manager) hears() string {
	m.t.Helper()
	_ = m.conn.SetReadDeadline(time.Now().Add(time.Minute))
	b := make([]byte, 4096)
	n, err := m.conn.Read(b)
	if err != nil {
		m.t.Fatalf("systemd hears nothing: %v", err)
	}
	return strings.ReplaceAll(string(b[:n]), "\n", "|")
}

func (m *manager) mustHear(want ...string) {
	m.t.Helper()
	for _, w := range want {
		if got := m.hears(); got != w {
			m.t.Errorf("systemd hears %q\nwant %q", got, w)
		}
	}
}

// mustHearReloading checks when the reload began: after since, by the clock of systemd.
func (m *manager) mustHearReloading(since int64) {
	m.t.Helper()
	got := m.hears()
	at := regexp.MustCompile(`^RELOADING=1\|MONOTONIC_USEC=([0-9]+)$`).FindStringSubmatch(got)
	if at == nil {
		m.t.Errorf("systemd hears %q, want RELOADING=1", got)
		return
	}
	if usec, err := strconv.ParseInt(at[1], 10, 64); err != nil || usec < since || usec > monotonic() {
		m.t.Errorf("%q is not between %d and now, %d", got, since, monotonic())
	}
}

// mustHearNoMore is for when the master has ended: what is sent now is the next to come.
func (m *manager) mustHearNoMore() {
	m.t.Helper()
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: m.addr})
	if err != nil {
		m.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("the end")); err != nil {
		m.t.Fatal(err)
	}
	m.mustHear("the end")
}

func monotonic() int64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return now.Nano() / 1000
}

// step is what is heard when a reload has come so far and may take so many seconds more.
func step(generation int, name string, seconds int) string {
	return fmt.Sprintf("STATUS=reloading to generation %d: %s|EXTEND_TIMEOUT_USEC=%d000000", generation, name, seconds)
}

const (
	hearsStart = "STATUS=starting|EXTEND_TIMEOUT_USEC=75000000"
	hearsStop  = "STOPPING=1|STATUS=stopping|EXTEND_TIMEOUT_USEC=45000000"
)

// systemd hears of a start, of a reload, of reloads that are taken back and of the stop,
// in the words of its protocol and in this order.
func TestSystemdHearsOfAWholeLife(t *testing.T) {
	t.Parallel()
	for name, addr := range map[string]string{
		"path":     filepath.Join(servertest.Dir(t), "notify"),
		"abstract": fmt.Sprintf("@ostler-test-%d", os.Getpid()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "abstract" && runtime.GOOS != "linux" {
				t.Skip("Linux only")
			}
			m := newManager(t, addr)
			i := servertest.LaunchAs(t, echoing, m.as())
			ready := func(generation int) string {
				return fmt.Sprintf("READY=1|STATUS=serving, generation %d, build %s, 2 workers", generation, i.Stats().Build)
			}
			m.mustHear(hearsStart, fmt.Sprintf("%s|MAINPID=%d", ready(1), i.PID()))

			since := monotonic()
			i.Signal(syscall.SIGHUP) // as systemd does
			m.mustHearReloading(since)
			m.mustHear(step(2, "load", 75), step(2, "canary", 75), step(2, "roll", 75), ready(2))

			for n, bad := range []struct{ toml, why string }{
				{strings.Replace(echoing, `"echo"`, `"refuses"`, 1), `rejected at canary: app "refuses": no database at db.example:5432`},
				{echoing + "\nvacuum = false\n", "rejected at load: " + i.Config + ": changing vacuum takes a restart (stop, then start)"},
			} {
				i.Write(keep + bad.toml)
				since = monotonic()
				i.Signal(syscall.SIGHUP)
				m.mustHearReloading(since)
				m.mustHear([]string{step(3+n, "load", 75), step(3+n, "canary", 75)}[:2-n]...)
				m.mustHear(fmt.Sprintf("%s; reload to generation %d %s", ready(2), 3+n, bad.why))
			}

			i.Signal(syscall.SIGTERM)
			m.mustHear(hearsStop)
			if err := i.Wait(); err != nil {
				t.Errorf("the master ended with %v\n%s", err, i.Log())
			}
			m.mustHearNoMore()
			if log := i.Log(); strings.Contains(log, "systemd is not told") {
				t.Errorf("the log complains:\n%s", log)
			}
		})
	}
}

// A reload that is asked for while one runs is one of its own, with its own READY=1. What
// the new file allows for is what systemd is asked to wait.
func TestSystemdHearsOfAReloadThatWasRemembered(t *testing.T) {
	t.Parallel()
	m := newManager(t, filepath.Join(servertest.Dir(t), "notify"))
	i := servertest.LaunchAs(t, echoing, m.as())
	m.mustHear(hearsStart)
	m.hears()
	i.Write(keep + echoing + "start-timeout = \"100s\"\nworker-reload-mercy = \"200s\"\n")
	since := monotonic()
	i.Signal(syscall.SIGHUP)
	m.mustHearReloading(since)
	i.Signal(syscall.SIGHUP)
	ready := "READY=1|STATUS=serving, generation %d, build " + i.Stats().Build + ", 2 workers"
	m.mustHear(step(2, "load", 75), step(2, "canary", 115), step(2, "roll", 115), fmt.Sprintf(ready, 2))
	m.mustHearReloading(since)
	m.mustHear(step(3, "load", 115), step(3, "canary", 115), step(3, "roll", 115), fmt.Sprintf(ready, 3))
	i.Signal(syscall.SIGTERM)
	m.mustHear("STOPPING=1|STATUS=stopping|EXTEND_TIMEOUT_USEC=215000000")
}

// A start that does not succeed is never ready, and says why.
func TestSystemdHearsWhyAStartFailed(t *testing.T) {
	t.Parallel()
	dir := servertest.Dir(t)
	m := newManager(t, filepath.Join(dir, "notify"))
	toml := strings.Replace(echoing, `"echo"`, `"refuses"`, 1) + "logto = \"$DIR/log\"\n"
	if err := os.WriteFile(filepath.Join(dir, "app.toml"), []byte(strings.ReplaceAll(toml, "$DIR", dir)), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "--config", filepath.Join(dir, "app.toml"))
	cmd.Env = append(os.Environ(), m.as().Env...)
	if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("%v, want exit code 3\n%s", err, out)
	}
	m.mustHear(hearsStart, hearsStop, `STATUS=app "refuses": no database at db.example:5432`)
	m.mustHearNoMore()
}

// mustHearAmongSigns is mustHear while a watchdog is fed; it says how often that was.
func (m *manager) mustHearAmongSigns(want string) (signs int) {
	m.t.Helper()
	for got := m.hears(); got != want; got = m.hears() {
		if got != "WATCHDOG=1" {
			m.t.Errorf("systemd hears %q\nwant %q", got, want)
			return signs
		}
		signs++
	}
	return signs
}

// The watchdog of the unit is fed with a master and without. What it is to systemd, the
// workers do not know.
func TestSystemdHearsSignsOfLife(t *testing.T) {
	t.Parallel()
	for name, toml := range map[string]string{
		"master": "chdir = \"$DIR\"\n" + strings.Replace(echoing, `"echo"`, `"surroundings"`, 1),
		"single": unsupervised,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newManager(t, filepath.Join(servertest.Dir(t), "notify"))
			i := servertest.LaunchAs(t, toml, m.as("WATCHDOG_USEC=100000"))
			m.mustHearAmongSigns(hearsStart)
			crew := map[string]string{"master": "2 workers", "single": "1 worker"}[name]
			m.mustHearAmongSigns(fmt.Sprintf("READY=1|STATUS=serving, generation 1, build %s, %s|MAINPID=%d", i.Stats().Build, crew, i.PID()))
			m.mustHear("WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1")
			if name == "master" {
				for _, v := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC"} {
					if _, page := get(t, i.HTTP("http").Transport, "http://site/?env="+v); !strings.HasSuffix(page, "\n") {
						t.Errorf("a worker knows %s: %q", v, page)
					}
				}
			}
			i.Signal(syscall.SIGTERM)
			m.mustHearAmongSigns(hearsStop)
			if err := i.Wait(); err != nil {
				t.Errorf("it ended with %v\n%s", err, i.Log())
			}
		})
	}
}

// Who watches another process is not fed.
func TestSystemdWatchesAnother(t *testing.T) {
	t.Parallel()
	m := newManager(t, filepath.Join(servertest.Dir(t), "notify"))
	i := servertest.LaunchAs(t, echoing, m.as("WATCHDOG_USEC=1000", "WATCHDOG_PID=1"))
	m.mustHear(hearsStart)
	m.hears()
	i.Signal(syscall.SIGTERM)
	m.mustHear(hearsStop)
	_ = i.Wait()
	m.mustHearNoMore()
}

// A socket that nobody reads, or that is not there, changes nothing but a line of the log.
func TestSystemdThatIsGoneChangesNothing(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]bool{"full": false, "gone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newManager(t, filepath.Join(servertest.Dir(t), "notify"))
			if gone {
				m.conn.Close() // with its path
			}
			i := servertest.LaunchAs(t, echoing, m.as())
			for range 3 { // more than a socket holds
				if out, code := i.Command("reload"); code != 0 {
					t.Fatalf("exit code %d\n%s", code, out)
				}
			}
			if out, code := i.Command("stop"); code != 0 {
				t.Errorf("exit code %d\n%s", code, out)
			}
			if err := i.Wait(); err != nil {
				t.Errorf("the master ended with %v\n%s", err, i.Log())
			}
			if n := strings.Count(i.Log(), "systemd is not told"); n > 1 || gone && n != 1 {
				t.Errorf("the log says it %d times:\n%s", n, i.Log())
			}
		})
	}
}

// The units of the manual are ones that systemd takes. An old one does not know
// notify-reload, as the manual says.
func TestSystemdUnitsOfTheManual(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd is not installed")
	}
	manual, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^ *```ini\n(.*?)^ *```").FindAllStringSubmatch(string(manual), -1)
	if len(blocks) != 2 {
		t.Fatalf("the manual has %d blocks of a unit, want the unit and what to write instead", len(blocks))
	}
	program, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	unit, instead := blocks[0][1], regexp.MustCompile(`(?m)^ +`).ReplaceAllString(blocks[1][1], "")
	for name, text := range map[string]string{
		"the unit":              unit,
		"what to write instead": strings.Replace(unit, "Type=notify-reload\n", instead, 1),
	} {
		path := filepath.Join(t.TempDir(), "site.service")
		text = strings.ReplaceAll(strings.ReplaceAll(text, "/srv/site/site ", program+" "), "/srv/site", filepath.Dir(path))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(analyze, "verify", path).CombinedOutput()
		said := regexp.MustCompile(`(?m)^.*service type, ignoring: notify-reload\n`).ReplaceAllString(string(out), "")
		if err != nil || said != "" || !strings.Contains(text, "ExecStart="+program) {
			t.Errorf("%s: %v\n%s\n%s", name, err, said, text)
		}
	}
}
