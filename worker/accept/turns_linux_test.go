package accept

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// process is one that writes down what it does with the turn.
type process struct {
	turns
	others   bool // somebody else has it
	computed time.Duration
	log      strings.Builder
}

func newProcess() *process {
	p := &process{}
	p.turns = turns{turn: p, doze: time.Sleep, cpu: func() time.Duration { return p.computed }}
	return p
}

func (p *process) take() bool {
	if !p.others {
		p.log.WriteString("take ")
	}
	return !p.others
}

func (p *process) give() { p.log.WriteString("give ") }

func (p *process) did() string {
	defer p.log.Reset()
	return strings.TrimSpace(p.log.String())
}

// stream is n connections, each with a request that computes for so long.
func (p *process) stream(n int, request time.Duration) {
	for range n {
		p.standBack()
		p.accepted()
		p.computed += request
		time.Sleep(request)
	}
}

// known is how many connections a process has to see before it takes part in turns.
const known = window * (calmEnough + 1)

const short = 20 * time.Microsecond

func TestAStreamIsServedByTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess()
		p.stream(known, short)
		if did := p.did(); did != "" {
			t.Errorf("before there was a stream: %s", did)
		}
		p.stream(int(turnLeast/short), short)
		if did := p.did(); did != "take" {
			t.Errorf("in a stream: %s", did)
		}
		p.stream(window, short)
		if did := p.did(); did != "give" {
			t.Errorf("after its turn: %s", did)
		}
		p.stream(int(2*turnLeast/short), short)
		if did := p.did(); did != "take give take" {
			t.Errorf("then: %s", did)
		}
		p.rest()
		if did := p.did(); did != "give" {
			t.Errorf("before it waits with others: %s", did)
		}
		p.stream(turnLength/8, short)
		if did := p.did(); did != "" {
			t.Errorf("just after that: %s", did)
		}
		p.stream(1, short)
		if did := p.did(); did != "take" {
			t.Errorf("later: %s", did)
		}
	})
}

func TestATurnHasItsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess()
		p.stream(known, short)
		for range turnLength / window {
			if did := p.did(); did != "" && did != "take" {
				t.Errorf("before it has them: %s", did)
			}
			time.Sleep(turnLeast)
			p.stream(window, short)
		}
		if did := p.did(); did != "give" {
			t.Errorf("when it has them: %s", did)
		}
	})
}

func TestWhoHasNoTurnStandsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess()
		p.others = true
		p.stream(known, short)
		for range 2 {
			var stood []time.Duration
			for began := time.Now(); p.standBack(); began = time.Now() {
				stood = append(stood, time.Since(began)/time.Millisecond)
			}
			if got, want := fmt.Sprint(stood), "[2ns 4ns 8ns 8ns 8ns 8ns 8ns 8ns]"; got != want {
				t.Fatalf("stood back for %s, want %s", got, want)
			}
			// Nobody came for so long: it waits like everybody, until there is a stream again.
			p.stream(window, short)
		}
		for range 2 {
			if !p.standBack() {
				t.Fatal("it does not stand back")
			}
		}
		p.accepted() // it was needed
		began := time.Now()
		if p.standBack(); time.Since(began) != standing {
			t.Errorf("after a connection it stood back for %s, want %s", time.Since(began), standing)
		}
		p.others = false
		if p.did(); p.standBack() || p.did() != "take" {
			t.Error("a turn that nobody has was not taken")
		}
	})
}

func TestTurnsAreForShortRequestsInAStream(t *testing.T) {
	for name, c := range map[string]struct{ request, between time.Duration }{
		"long requests":    {2 * brief, 0},
		"rare connections": {short, 2 * streamed / window},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProcess()
				for range 2 * known {
					p.stream(1, c.request)
					time.Sleep(c.between)
				}
				if did := p.did(); did != "" {
					t.Errorf("did %s", did)
				}
			})
		})
	}
}

// One request that computes for long shows that more may come.
func TestALongRequestEndsTheTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess()
		p.stream(known+window, short)
		p.stream(1, 2*window*brief)
		p.stream(known-window, short)
		if did := p.did(); did != "take give" {
			t.Errorf("did %s", did)
		}
		p.stream(window, short)
		if did := p.did(); did != "take" {
			t.Errorf("when all were short again: %s", did)
		}
	})
}

// A pause that the scheduler is not told of keeps others in the process from their work.
func TestTheSchedulerIsToldOfLongPausesAndOfSomeShortOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		untold := 0
		p := newProcess()
		p.others = true
		p.doze = func(d time.Duration) {
			if untold++; d > standing {
				t.Errorf("the scheduler was not told of a pause of %s", d)
			}
			time.Sleep(d)
		}
		p.stream(known, short)
		for range 8 {
			if !p.standBack() {
				t.Fatal("it does not stand back")
			}
			p.accepted()
		}
		if untold != 6 {
			t.Errorf("it was not told of %d of 8 short pauses, want 6", untold)
		}
		for p.standBack() {
		}
	})
}

func TestCPUTimeGrows(t *testing.T) {
	began := cpuTime()
	for end := time.Now().Add(patience); cpuTime() == began; {
		if time.Now().After(end) {
			t.Fatalf("what this process has computed stays %s", began)
		}
	}
}

// holdTurn, in the environment, makes the test below the process that has the turn.
const holdTurn = "OSTLER_TEST_HOLD_TURN"

func TestTheTurnOfADeadProcessIsFree(t *testing.T) {
	if os.Getenv(holdTurn) != "" {
		fmt.Println("mine:", inodeLock{3}.take())
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
		return
	}
	fd := listen(t, "tcp").(*Listener).fd
	file := os.NewFile(uintptr(mustDup(t, fd)), "socket")
	holder := exec.Command(os.Args[0], "-test.run=^TestTheTurnOfADeadProcessIsFree$")
	holder.Env = append(os.Environ(), holdTurn+"=1")
	holder.ExtraFiles = []*os.File{file}
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	said, err := bufio.NewReader(out).ReadString('\n')
	if said != "mine: true\n" {
		t.Errorf("the other process said %q, %v", said, err)
	}
	ours := inodeLock{fd}
	if ours.take() {
		t.Error("two processes have the turn")
	}
	_ = holder.Process.Kill()
	_ = holder.Wait()
	if !ours.take() {
		t.Error("the turn of a process that was killed cannot be taken")
	}
	ours.give()
}

// Where there are no such locks everybody waits as if there were no turns.
func TestATurnThatCannotBeAskedForIsOurs(t *testing.T) {
	if !(inodeLock{-1}).take() {
		t.Error("a process would stand back though nobody can have the turn")
	}
}
