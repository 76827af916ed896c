package scoreboard

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// childVar names the helper that a re-executed test binary becomes.
const childVar = "SCOREBOARD_TEST_CHILD"

// deadline is for events that come within milliseconds on a healthy machine.
const deadline = 30 * time.Second

func TestMain(m *testing.M) {
	children := map[string]func(*Page){"busy": childBusy, "wedged": childWedged}
	if name, ok := os.LookupEnv(childVar); ok {
		p, err := Open(os.NewFile(3, "page"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		children[name](p)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// childBusy serves without end, in every slot, as fast as it can.
func childBusy(p *Page) {
	for i := range p.Slots() {
		go func() {
			for id := uint64(1); ; id++ {
				s := p.Slot(i)
				begin(s, id)
				s.AddTx(1)
				app := int(id % uint64(p.Apps()+1))
				s.AddException(app)
				s.End(app, 200, time.Microsecond)
			}
		}()
	}
	select {}
}

// childWedged hangs in one request.
func childWedged(p *Page) {
	p.SetState(2)
	p.Beat(time.Unix(0, 12345))
	begin(p.Slot(1), 77)
	select {}
}

// begin writes a request whose every part follows from its id, so that a mixture of two
// requests gives itself away.
func begin(s *Slot, id uint64) {
	method, path, peer := texts(id)
	s.Begin(id, time.Unix(0, int64(id)), method, path, peer)
}

func texts(id uint64) (method, path, peer string) {
	n := int(id % 7)
	digits := fmt.Sprintf("%020d", id)
	return "M" + digits[20-n:], "/" + digits + digits[n:], "@" + digits
}

// start gives a page to a helper process.
func start(t *testing.T, helper string, slots, apps int) (*Page, *exec.Cmd) {
	t.Helper()
	p, f, err := Create(slots, apps)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), childVar+"="+helper)
	cmd.ExtraFiles = []*os.File{f}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(cmd) })
	return p, cmd
}

func kill(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	}
}

// until waits for what another process does to the page.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !done(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, deadline)
		}
	}
}

func newPage(t testing.TB, slots int) *Page { t.Helper(); return newPageFor(t, slots, 0) }

func newPageFor(t testing.TB, slots, apps int) *Page {
	t.Helper()
	p, f, err := Create(slots, apps)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}
