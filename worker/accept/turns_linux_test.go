package accept

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fakeTurn writes down what was done with it.
type fakeTurn struct {
	others bool // somebody else has it
	log    strings.Builder
}

func (f *fakeTurn) take() bool {
	if f.others {
		f.log.WriteString("taken ")
		return false
	}
	f.log.WriteString("take ")
	return true
}

func (f *fakeTurn) give() { f.log.WriteString("give ") }

func (f *fakeTurn) said() string {
	defer f.log.Reset()
	return strings.TrimSpace(f.log.String())
}

// stream is n connections, each after a wait, with a request that takes so long.
func (t *turns) stream(n int, request time.Duration) {
	for range n {
		t.back()
		t.standBack()
		time.Sleep(time.Microsecond)
		t.accepted()
		time.Sleep(request)
	}
}

func TestAStreamIsServedByTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const request = turnLeast / (turnLength - 1) // so that a turn is long enough when its connections have come
		f := &fakeTurn{}
		ts := turns{turn: f, doze: time.Sleep}
		ts.stream(2*turnLength, request)
		if did := f.said(); did != "" {
			t.Errorf("before there was a stream: %s", did)
		}
		ts.stream(2*(turnLength/8+turnLength), request)
		if did := f.said(); did != "take give take give" {
			t.Errorf("in a stream: %s", did)
		}
		ts.stream(turnLength/8, request)
		if did := f.said(); did != "" {
			t.Errorf("just after its turn: %s", did)
		}
		ts.stream(1, request)
		ts.rest()
		if did := f.said(); did != "take give" {
			t.Errorf("before it waits with others: %s", did)
		}
		ts.stream(turnLength*turnLength/4, request/turnLength)
		if did := f.said(); did != "take" {
			t.Errorf("in a quick stream: %s", did)
		}
		ts.stream(turnLength*turnLength, request/turnLength)
		if did := f.said(); !strings.HasPrefix(did, "give take") {
			t.Errorf("at its end: %s", did)
		}
	})
}

func TestWhoHasNoTurnStandsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTurn{others: true}
		ts := turns{turn: f, doze: time.Sleep}
		ts.stream(2*turnLength+turnLength/8, 20*time.Microsecond)
		for range 2 {
			var stood []time.Duration
			for began := time.Now(); ts.standBack(); began = time.Now() {
				stood = append(stood, time.Since(began)/time.Millisecond)
			}
			if got, want := fmt.Sprint(stood), "[2ns 4ns 8ns 8ns 8ns 8ns 8ns 8ns]"; got != want {
				t.Fatalf("stood back for %s, want %s", got, want)
			}
			// Nobody came for so long: it waits like everybody, until there is a stream again.
			ts.stream(turnLength, 20*time.Microsecond)
		}
		if !ts.standBack() || !ts.standBack() {
			t.Fatal("it does not stand back")
		}
		ts.accepted() // it was needed
		began := time.Now()
		if ts.standBack(); time.Since(began) != standing {
			t.Errorf("after a connection it stood back for %s, want %s", time.Since(began), standing)
		}
		f.others = false
		if f.said(); ts.standBack() || f.said() != "take" {
			t.Error("a turn that nobody has was not taken")
		}
	})
}

func TestTurnsAreForShortRequestsInAStream(t *testing.T) {
	for name, c := range map[string]struct{ request, between time.Duration }{
		"long requests":    {request: brief},
		"rare connections": {request: time.Microsecond, between: streamed / turnLength},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeTurn{}
				ts := turns{turn: f, doze: time.Sleep}
				some := func(n int) {
					for range n {
						ts.stream(1, c.request)
						time.Sleep(c.between)
					}
				}
				some(longMost * turnLength) // to find that out
				ts.rest()
				f.said()
				some(4 * turnLength)
				if did := f.said(); did != "" {
					t.Errorf("did %s", did)
				}
			})
		})
	}
}

// A pause that the scheduler is not told of keeps others in the process from their work.
func TestTheSchedulerIsToldOfLongPausesAndOfSomeShortOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		untold := 0
		ts := turns{turn: &fakeTurn{others: true}, doze: func(d time.Duration) {
			if untold++; d > standing {
				t.Errorf("the scheduler was not told of a pause of %s", d)
			}
			time.Sleep(d)
		}}
		ts.stream(2*turnLength+turnLength/8, 20*time.Microsecond)
		for range 8 {
			if !ts.standBack() {
				t.Fatal("it does not stand back")
			}
			ts.accepted()
		}
		if untold != 6 {
			t.Errorf("it was not told of %d of 8 short pauses, want 6", untold)
		}
		for ts.standBack() {
		}
	})
}

// holdTurn, in the environment, makes the test below the process that has the turn.
const holdTurn = "OSTLER_TEST_HOLD_TURN"

func TestTheTurnOfADeadProcessIsFree(t *testing.T) {
	if os.Getenv(holdTurn) != "" {
		fmt.Println("mine:", inodeLock{3}.take())
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
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
	said, err := bufio.NewReader(out).ReadString('\n')
	if said != "mine: true\n" {
		t.Errorf("the other process said %q, %v", said, err)
	}
	ours := inodeLock{int(file.Fd())}
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
