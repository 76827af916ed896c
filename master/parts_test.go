package master

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestEveryStateHasAName(t *testing.T) {
	var names []fmt.Stringer
	for s := Starting; s <= Stopped; s++ {
		names = append(names, s)
	}
	for p := Spawning; p <= Exited; p++ {
		names = append(names, p)
	}
	for g := Candidate; g <= Rejected; g++ {
		names = append(names, g)
	}
	for s := StepLoad; s <= StepLive; s++ {
		names = append(names, s)
	}
	for k := timerBoot; k <= timerBackoff; k++ {
		names = append(names, k)
	}
	for _, n := range names {
		if strings.Contains(n.String(), "(") {
			t.Errorf("%s has no name", n)
		}
	}
}

// moves lists what a table allows, as "from>to ...".
func moves[S interface {
	~uint8
	fmt.Stringer
}](last S, may func(from, to S) bool) string {
	var list []string
	for from := S(0); from <= last; from++ {
		for to := S(0); to <= last+1; to++ {
			if may(from, to) {
				list = append(list, from.String()+">"+to.String())
			}
		}
	}
	return strings.Join(list, " ")
}

func TestTheTablesAllowWhatTheDesignDraws(t *testing.T) {
	for _, test := range []struct{ what, got, want string }{
		{"master", moves(Stopped, State.may),
			"starting>serving starting>stopping serving>reloading serving>lame-duck serving>stopping reloading>serving reloading>lame-duck reloading>stopping lame-duck>stopping stopping>stopped"},
		{"process", moves(Exited, Phase.may),
			"spawning>booting spawning>killed spawning>exited booting>ready booting>draining booting>killed booting>exited " +
				"ready>draining ready>killed ready>exited draining>killed draining>exited killed>exited"},
		{"generation", moves(Rejected, GenState.may),
			"candidate>live candidate>rejected live>retiring retiring>gone"},
	} {
		if test.got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.what, test.got, test.want)
		}
	}
}

func TestAnIllegalMoveIsReportedAndNotMade(t *testing.T) {
	m := newMachine(defaultBackoff(func() float64 { return 0 }))
	p := &process{slot: &slot{id: 1}, gen: &generation{id: 1, state: Gone}, phase: Exited}
	m.state = Stopped
	m.move(p, Ready)
	m.moveGen(p.gen, Live)
	m.moveState(Serving)
	if p.phase != Exited || p.gen.state != Gone || m.state != Stopped {
		t.Errorf("it is %s, %s, %s", p.phase, p.gen.state, m.state)
	}
	reported := 0
	for _, a := range m.acts {
		if l, ok := a.(actLog); ok && l.msg == "illegal move" {
			reported++
		}
	}
	if reported != 3 {
		t.Errorf("%d illegal moves were reported, want 3", reported)
	}
}

func TestBackoffGrowsToItsLimitAndForgets(t *testing.T) {
	for _, jitter := range []float64{0, 0.5, 0.999} {
		b := defaultBackoff(func() float64 { return jitter })
		failures, last := 0, time.Duration(0)
		for range 100 {
			var wait time.Duration
			failures, wait = b.next(failures, 0)
			if wait < last || wait <= 0 || wait > b.limit {
				t.Fatalf("jitter %v: %s after %s", jitter, wait, last)
			}
			last = wait
		}
		if last < b.limit*3/4 {
			t.Errorf("jitter %v: it ends at %s", jitter, last)
		}
		if failures, wait := b.next(failures, b.healthy); failures != 1 || wait != 0 {
			t.Errorf("after a healthy life: %d failures, %s", failures, wait)
		}
	}
}

func TestAnExitIsASentence(t *testing.T) {
	for want, e := range map[string]Exit{
		"exited with status 0":                                      {},
		"exited with status 2":                                      {Code: 2},
		"was killed by signal 9 (killed)":                           {Code: -1, Signal: syscall.SIGKILL},
		"was killed by signal 11 (segmentation fault), core dumped": {Code: -1, Signal: syscall.SIGSEGV, Core: true},
		"was lost: no child processes":                              {Code: -1, Err: syscall.ECHILD},
	} {
		if got := e.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestWhatCannotBeExecutedIsNotPinned(t *testing.T) {
	for _, path := range []string{t.TempDir(), "/dev/null", "/no/such/file"} {
		if x, err := PinExecutable(path, nil); err == nil {
			_ = x.Close()
			t.Errorf("%s was pinned", path)
		}
	}
}
