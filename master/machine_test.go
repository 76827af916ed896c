package master

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/worker/control"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// TestTranscripts replays testdata/*.txt: a line is an event, the indented lines under it
// are the actions it leads to. The first line of a file says what it protects.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(want), "# ") {
				t.Error("the first line does not say what the transcript protects")
			}
			got, err := replay(string(want))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(got, "illegal move") || strings.Contains(got, "unknown event") {
				t.Errorf("the machine reports a bug of its own:\n%s", got)
			}
			if *update {
				err = os.WriteFile(file, []byte(got), 0o644)
			} else if got != string(want) {
				err = fmt.Errorf("%s does not replay, it gives\n%s", file, got)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// script drives a machine by text, with a clock and timers of its own.
type script struct {
	m      *machine
	now    time.Time
	armed  []actArm
	due    map[ticket]time.Time
	out    strings.Builder
	failed error

	live, candidate tally // what is answered when the machine asks

	easy bool // processes come up, and go, without trouble
}

func newScript() *script {
	return &script{
		m:   newMachine(defaultBackoff(func() float64 { return 0.5 })),
		now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		due: make(map[ticket]time.Time),
	}
}

func replay(text string) (string, error) {
	s := newScript()
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue // what it gave last time
		}
		s.out.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := s.command(line); err != nil {
			return "", fmt.Errorf("%q: %w", line, err)
		}
	}
	return s.out.String(), s.failed
}

func (s *script) command(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "state":
		fmt.Fprintf(&s.out, "  %s\n", s.m.describe())
		return nil
	case "wait":
		d, err := time.ParseDuration(rest)
		s.wait(d)
		return err
	case "up": // a process comes up without trouble
		s.comeUp(parse(rest).inc)
		return nil
	case "easy": // from now on they all do
		s.easy = true
		return nil
	case "look": // so many times, at so much to do
		s.look(parse(rest))
		return nil
	case "handover": // another program takes over
		if !s.m.resting() {
			s.out.WriteString("  (it does not rest)\n")
			return nil
		}
		s.m, s.armed = resume(s.m.backoff, s.m.legacy()), nil
		s.step(evResumed{})
		return nil
	case "serves": // what is asked of the generations until further notice
		a := parse(rest)
		s.live, s.candidate = a.tally("live"), a.tally("candidate")
		return nil
	}
	ev, err := parseEvent(verb, parse(rest))
	if err == nil {
		s.step(ev)
	}
	return err
}

func (s *script) comeUp(inc incarnation) {
	s.step(evSpawned{inc, 1000 + int(inc)})
	s.step(evHello{inc: inc, version: control.Version})
	s.step(evReady{inc})
}

// wait lets time pass and timers run out in their order.
func (s *script) wait(d time.Duration) {
	end := s.now.Add(d)
	for {
		next := -1
		for i, a := range s.armed {
			if !s.due[a.ticket].After(end) && (next < 0 || s.due[a.ticket].Before(s.due[s.armed[next].ticket])) {
				next = i
			}
		}
		if next < 0 {
			s.now = end
			return
		}
		a := s.armed[next]
		s.now = s.due[a.ticket]
		s.drop(a.ticket)
		fmt.Fprintf(&s.out, "  (timer %s)\n", timerName(a))
		s.step(evTimer{ticket: a.ticket, inc: a.inc, slot: a.slot, gen: a.gen})
	}
}

func (s *script) step(ev event) {
	var then []func() // what the world makes of it
	for _, a := range s.m.step(s.now, ev) {
		fmt.Fprintf(&s.out, "  %s\n", s.show(a))
		if arm, ok := a.(actArm); ok {
			s.armed = append(s.armed, arm)
			s.due[arm.ticket] = s.now.Add(arm.after)
		}
		if off, ok := a.(actDisarm); ok {
			s.drop(off.ticket)
		}
		switch a := a.(type) {
		case actWeigh:
			then = append(then, func() { s.step(evWeighed{gen: a.gen, live: s.live, candidate: s.candidate}) })
		case actSpawn:
			if s.easy {
				then = append(then, func() { s.comeUp(a.inc) })
			}
		case actDrain:
			if s.easy {
				then = append(then, func() { s.step(evExited{inc: a.inc}) })
			}
		}
	}
	for _, f := range then {
		f()
	}
}

func (s *script) drop(t ticket) {
	for i, a := range s.armed {
		if a.ticket == t {
			s.armed = append(s.armed[:i:i], s.armed[i+1:]...)
			return
		}
	}
	s.failed = fmt.Errorf("timer %d is not armed", t)
}

// args are the words after a verb: p1, key=value, and the rest as text.
type args struct {
	inc  incarnation
	keys map[string]string
	text string
}

func parse(rest string) args {
	a := args{keys: make(map[string]string)}
	for rest != "" {
		var word string
		word, rest, _ = strings.Cut(rest, " ")
		if n, err := strconv.Atoi(strings.TrimPrefix(word, "p")); err == nil && word[0] == 'p' {
			a.inc = incarnation(n)
		} else if k, v, ok := strings.Cut(word, "="); ok {
			a.keys[k] = v
		} else {
			a.text = strings.TrimSpace(word + " " + rest)
			break
		}
	}
	return a
}

func (a args) int(key string, otherwise int) int {
	if n, err := strconv.Atoi(a.keys[key]); err == nil {
		return n
	}
	return otherwise
}

func (a args) duration(key string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(a.keys[key]); err == nil {
		return d
	}
	return otherwise
}

func (a args) tally(key string) tally {
	requests, errors, _ := strings.Cut(a.keys[key], "/")
	r, _ := strconv.ParseUint(requests, 10, 64)
	e, _ := strconv.ParseUint(errors, 10, 64)
	return tally{r, e}
}

func (a args) err() error {
	if a.text == "" {
		return nil
	}
	return errors.New(a.text)
}

func parseEvent(verb string, a args) (event, error) {
	switch verb {
	case "start":
		return evStart{}, nil
	case "loaded":
		return evLoaded{gen: a.int("gen", 0), build: "b" + a.keys["gen"], workers: a.int("workers", 1), scaling: a.scaling(), timing: timing{
			start: a.duration("start", time.Minute), mercy: a.duration("mercy", 30*time.Second), linger: a.duration("linger", 0),
			probation: a.duration("probation", 0), surge: a.int("surge", 0), lameDuck: a.duration("lameduck", 0),
		}}, nil
	case "loadfailed":
		step := StepLoad
		if a.keys["step"] == "bind" {
			step = StepBind
		}
		return evLoadFailed{gen: a.int("gen", 0), step: step, err: a.err()}, nil
	case "spawned":
		return evSpawned{a.inc, 1000 + int(a.inc)}, nil
	case "spawnfailed":
		return evSpawnFailed{a.inc, a.err()}, nil
	case "hello":
		return evHello{inc: a.inc, version: a.int("version", control.Version)}, nil
	case "ready":
		return evReady{a.inc}, nil
	case "failed":
		return evFailed{inc: a.inc, stage: a.keys["stage"], err: a.text}, nil
	case "retire":
		return evRetire{inc: a.inc, reason: a.text, ours: a.keys["by"] == "us"}, nil
	case "closed":
		return evClosed{a.inc, a.err()}, nil
	case "exit":
		return evExited{inc: a.inc, exit: Exit{Code: a.int("code", 0), Signal: syscall.Signal(a.int("signal", 0))}, words: Words{Crash: a.keys["crash"], Printed: a.text}}, nil
	case "sick":
		why := stats.ExitUnresponsive
		if a.keys["why"] == "memory" {
			why = stats.ExitMemory
		}
		return evSick{a.inc, why, a.text}, nil
	case "weighed": // live=requests/errors candidate=requests/errors
		return evWeighed{gen: a.int("gen", 0), live: a.tally("live"), candidate: a.tally("candidate")}, nil
	case "timer": // a late one: p1 with the ticket of an earlier life
		return evTimer{ticket: ticket(a.int("ticket", 0)), inc: a.inc, slot: a.int("slot", 0)}, nil
	case "reload":
		return evReload{caller: uint64(a.int("caller", 0))}, nil
	case "stop":
		return evStop{now: a.text == "now"}, nil
	case "add":
		return evAdd{}, nil
	case "remove":
		return evRemove{}, nil
	case "reopen":
		return evReopen{}, nil
	}
	return nil, errors.New("no such event")
}
