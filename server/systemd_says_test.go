package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"
	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/stats"
)

// serving is the source of a generation; of number 9 one worker is missing.
type serving int

func (n serving) Snapshot() stats.Snapshot {
	s := stats.Snapshot{Generation: int(n), Build: fmt.Sprintf("b%d", n), Ready: 2, Wanted: 2}
	if n == 9 {
		s.Ready = 1
	}
	return s
}

// tell is a master that comes to something: to a state, a step or the end of a reload, each
// with a generation.
func tell(t *testing.T, s *systemd, what string) {
	t.Helper()
	word, number, _ := strings.Cut(what, " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("%q: %v", what, err)
	}
	if word == "announce" {
		s.announce(serving(n))
		return
	}
	p, ok := map[string]master.Progress{
		"serving":   {State: master.Serving},
		"reloading": {State: master.Reloading},
		"stopping":  {State: master.Stopping},
		"stopped":   {State: master.Stopped},
		"load":      {State: master.Reloading, Step: master.StepLoad},
		"canary":    {State: master.Reloading, Step: master.StepCanary},
		"live":      {State: master.Reloading, Outcome: &master.Outcome{Generation: n, Step: master.StepLive}},
		"rejected": {State: master.Reloading, Outcome: &master.Outcome{
			Generation: n, Step: master.StepCanary, Reason: "no database\ngoroutine 1", Words: "a hint\nanother",
		}},
	}[word]
	if !ok {
		t.Fatalf("%q is not understood", what)
	}
	p.Generation = n
	s.progress(p, serving(n))
}

// What a master tells, and what systemd hears: a datagram a line, its fields set apart
// by bars.
func TestSystemdHearsWhatTheMasterComesTo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ told, heard string }{
		"a whole life": {
			`serving 1, announce 1, reloading 1, load 2, canary 2, live 2, serving 2,
			reloading 2, load 3, canary 3, rejected 3, serving 2,
			reloading 2, load 4, live 4, serving 4, stopping 4, stopped 4`,
			`READY=1|STATUS=serving, generation 1, build b1, 2 workers|MAINPID=$PID
			RELOADING=1
			STATUS=reloading to generation 2: load|EXTEND_TIMEOUT_USEC=75000000
			STATUS=reloading to generation 2: canary|EXTEND_TIMEOUT_USEC=75000000
			READY=1|STATUS=serving, generation 2, build b2, 2 workers
			RELOADING=1
			STATUS=reloading to generation 3: load|EXTEND_TIMEOUT_USEC=75000000
			STATUS=reloading to generation 3: canary|EXTEND_TIMEOUT_USEC=75000000
			READY=1|STATUS=serving, generation 2, build b2, 2 workers; reload to generation 3 rejected at canary: no database: a hint
			RELOADING=1
			STATUS=reloading to generation 4: load|EXTEND_TIMEOUT_USEC=75000000
			READY=1|STATUS=serving, generation 4, build b4, 2 workers
			STOPPING=1|STATUS=stopping|EXTEND_TIMEOUT_USEC=45000000`,
		},
		"a worker is missing": {
			`announce 9`,
			`READY=1|STATUS=serving, generation 9, build b9, 1 of 2 workers|MAINPID=$PID`,
		},
		"a reload that was remembered while another ran": {
			`serving 1, announce 1, reloading 1, load 2, live 2, serving 2, reloading 2, load 3, live 3, serving 3`,
			`READY=1|STATUS=serving, generation 1, build b1, 2 workers|MAINPID=$PID
			RELOADING=1
			STATUS=reloading to generation 2: load|EXTEND_TIMEOUT_USEC=75000000
			READY=1|STATUS=serving, generation 2, build b2, 2 workers
			RELOADING=1
			STATUS=reloading to generation 3: load|EXTEND_TIMEOUT_USEC=75000000
			READY=1|STATUS=serving, generation 3, build b3, 2 workers`,
		},
		"the announcement comes before the state": {
			`announce 1, serving 1, reloading 1, live 2, serving 2`,
			`READY=1|STATUS=serving, generation 1, build b1, 2 workers|MAINPID=$PID
			RELOADING=1
			READY=1|STATUS=serving, generation 2, build b2, 2 workers`,
		},
		"the announcement comes in a reload that was asked for during the start": {
			`serving 1, reloading 1, load 2, announce 1, canary 2, live 2, serving 2`,
			`READY=1|STATUS=serving, generation 1, build b1, 2 workers|MAINPID=$PID
			RELOADING=1
			STATUS=reloading to generation 2: canary|EXTEND_TIMEOUT_USEC=75000000
			READY=1|STATUS=serving, generation 2, build b2, 2 workers`,
		},
		"the announcement comes after that reload": {
			`serving 1, reloading 1, load 2, rejected 2, serving 1, announce 1`,
			`READY=1|STATUS=serving, generation 1, build b1, 2 workers; reload to generation 2 rejected at canary: no database: a hint|MAINPID=$PID`,
		},
		"the announcement comes after a stop": {
			`serving 1, stopping 1, announce 1, stopped 1`,
			`STOPPING=1|STATUS=stopping|EXTEND_TIMEOUT_USEC=45000000`,
		},
		"a stop in a reload": {
			`announce 1, serving 1, reloading 1, stopping 1, rejected 2, stopped 1`,
			`READY=1|STATUS=serving, generation 1, build b1, 2 workers|MAINPID=$PID
			RELOADING=1
			STOPPING=1|STATUS=stopping|EXTEND_TIMEOUT_USEC=45000000`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, since := readNotify(t), monotonic()
			s := newSystemd(r.in(), config.Default(), hclog.NewNullLogger(), false)
			for what := range strings.SplitSeq(c.told, ",") {
				tell(t, s, strings.TrimSpace(what))
			}
			want := "STATUS=starting|EXTEND_TIMEOUT_USEC=75000000\n" + strings.ReplaceAll(c.heard, "$PID", strconv.Itoa(os.Getpid()))
			for line := range strings.Lines(want) {
				if got := strings.ReplaceAll(untimed(t, r.next(), since), "\n", "|"); got != strings.TrimSpace(line) {
					t.Errorf("systemd hears %q\nwant %q", got, line)
				}
			}
			s.close(nil)
			r.end()
		})
	}
}

// What is planned says how long systemd has to wait.
func TestSystemdIsAskedToWait(t *testing.T) {
	t.Parallel()
	r := readNotify(t)
	s := newSystemd(r.in(), config.Default(), hclog.NewNullLogger(), false)
	tell(t, s, "announce 1")
	tell(t, s, "reloading 1")
	s.planned(master.Plan{Workers: 4, StartTimeout: 300e9, Mercy: 600e9, Probation: 2e9})
	tell(t, s, "load 2")
	s.planned(master.Plan{Workers: 4, Surge: 2, StartTimeout: 100e9, Mercy: 10e9})
	tell(t, s, "canary 2")
	tell(t, s, "stopping 1") // the ones with the long mercy may be there still
	for range 3 {
		r.next()
	}
	for _, want := range []string{"317", "335", "615"} {
		if got := r.next(); !strings.HasSuffix(got, "\nEXTEND_TIMEOUT_USEC="+want+"000000") {
			t.Errorf("%q, want to be given %s s", got, want)
		}
	}
	s.close(nil)
}

// The next program in this process would not know what systemd has not taken yet.
func TestSystemdIsToldBeforeTheNextProgramComes(t *testing.T) {
	t.Parallel()
	r := readNotify(t)
	s := newSystemd(r.in(), config.Default(), hclog.NewNullLogger(), true)
	const reloads = maxUnsent / 4 // more datagrams than the socket holds
	for range reloads {
		tell(t, s, "reloading 1")
		tell(t, s, "serving 1")
	}
	late, cancel := context.WithCancel(t.Context())
	cancel()
	select {
	case <-s.socket.flush():
		t.Error("all is sent into a socket that is full")
	default:
	}
	if s.handOver(late, time.Second) == nil || s.await(late) == nil {
		t.Error("it does not wait for a socket that is full")
	}
	for range reloads {
		r.next()
		r.next()
	}
	if got := r.next(); got != "EXTEND_TIMEOUT_USEC=16000000" {
		t.Errorf("%q", got)
	}
	inTime(t, "await", func() {
		if err := s.await(t.Context()); err != nil {
			t.Error(err)
		}
	})
	s.close(nil)
	r.end()
}

// pidfileSource says that it serves once the pidfile is there.
type pidfileSource string

func (path pidfileSource) Snapshot() stats.Snapshot {
	text, _ := os.ReadFile(string(path))
	return stats.Snapshot{Build: strings.TrimSpace(string(text))}
}

func TestSystemdHearsReadyWhenThePidfileIsWritten(t *testing.T) {
	t.Parallel()
	r, path := readNotify(t), filepath.Join(t.TempDir(), "pid")
	pid, err := lockPidfile(path)
	if err != nil {
		t.Fatal(err)
	}
	log := hclog.NewNullLogger()
	s := &site{log: log, pid: pid, systemd: newSystemd(r.in(), config.Default(), log, false)}
	if err := s.announce(nil, pidfileSource(path)); err != nil {
		t.Fatal(err)
	}
	r.next()
	if got, want := r.next(), fmt.Sprintf("build %d", os.Getpid()); !strings.Contains(got, want) {
		t.Errorf("%q, want %q in it", got, want)
	}
	s.systemd.close(nil)
	if err := pid.release(true); err != nil {
		t.Error(err)
	}
}

func TestSystemdIsToldWhyItEnded(t *testing.T) {
	t.Parallel()
	r := readNotify(t)
	s := newSystemd(r.in(), config.Default(), hclog.NewNullLogger(), false)
	r.next()
	s.close(errors.New("no database\ngoroutine 1"))
	if got := r.next(); got != "STATUS=no database" {
		t.Errorf("%q", got)
	}
	r.end()
}

// One character that systemd does not take would cost the READY=1 beside it.
func TestSystemdStatusIsOneCleanLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"\n first\nsecond":    "first",
		"a\x00b\x1bc\rd":      "a b c d",
		"caf\u00e9 \xff\xfe!": "caf\u00e9 !",
		"":                    "",
		"READY=1\nSTOPPING=1": "READY=1",
	} {
		if got := status(text); got != "STATUS="+want {
			t.Errorf("%q became %q", text, got)
		}
	}
	long := status(strings.Repeat("\u00e9", 4096))
	if len(long) > maxStatus+len("STATUS=") || !utf8.ValidString(long) {
		t.Errorf("%d bytes, valid: %t", len(long), utf8.ValidString(long))
	}
}

// Nobody is told by a process that systemd did not start, nor by one that is not ours.
func TestSystemdIsSilentWithoutASocket(t *testing.T) {
	t.Parallel()
	for _, getenv := range []func(string) string{nil, func(string) string { return "" }} {
		s := newSystemd(getenv, config.Default(), hclog.NewNullLogger(), false)
		if s != nil {
			t.Fatal("somebody is told")
		}
		s.planned(master.Plan{})
		s.announce(serving(1))
		s.progress(master.Progress{State: master.Stopping}, serving(1))
		s.watchdog(t.Context(), nil)
		s.close(errors.New("x"))
	}
}

// A program that is asked for its plan is not the one that systemd started.
func TestSystemdIsHiddenFromThePlansProgram(t *testing.T) {
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS"} {
		t.Setenv(name, "1")
	}
	t.Setenv("SURELY_THERE", "1")
	dir := t.TempDir()
	program := dir + "/program"
	if err := os.WriteFile(program, []byte("#!/bin/sh\nenv >"+dir+"/env\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t.Context(), program, program, ""); err == nil {
		t.Fatal("an empty answer is taken for a plan")
	}
	env, err := os.ReadFile(dir + "/env")
	if err != nil || !strings.Contains(string(env), "SURELY_THERE=1\n") {
		t.Fatalf("%v: %s", err, env)
	}
	for line := range strings.Lines(string(env)) {
		if name, _, _ := strings.Cut(line, "_"); name == "NOTIFY" || name == "WATCHDOG" || name == "LISTEN" {
			t.Errorf("it has %s", line)
		}
	}
}
