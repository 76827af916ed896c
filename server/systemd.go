package server

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/hashicorp/go-hclog"
	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
	"github.com/seed17661985/ostler/stats"
	"golang.org/x/sys/unix"
)

// maxStatus is the longest STATUS= in bytes. systemd drops a datagram of more than 4096
// whole, with the READY=1 that is in it.
const maxStatus = 1024

// timeoutSlack is what systemd is asked to wait beyond our own limits: time to kill who
// does not keep to them, and to say so.
const timeoutSlack = 15 * time.Second

// systemd tells the service manager what this process comes to, in the words of
// sd_notify(3). Nil is for a process that none has started.
//
// Invariant: each RELOADING=1 is followed by a READY=1, whether the reload is done or taken
// back, or by STOPPING=1; and no READY=1 follows that. A unit would wait for the one, and
// come back to life by the other.
type systemd struct {
	socket   *notifySocket // fixed
	interval time.Duration // within which a sign of life is expected, fixed; zero: none is
	log      hclog.Logger  // fixed

	mu        sync.Mutex
	state     master.State  // that the master came to
	announced bool          // all sockets accept
	setback   string        // of the last reload; empty if it was none
	step      time.Duration // that a step of a reload may take
	mercy     time.Duration // that the longest drain may take
}

// newSystemd finds the service manager in the environment, whose variables stay: the master
// that follows this one in the same process needs them. Workers and other children never
// get them, see control.Environ. getenv is nil in a process that is not ours alone.
//
// The program that takes another's place goes on where that one was: it serves.
func newSystemd(getenv func(string) string, cfg config.Config, log hclog.Logger, serves bool) *systemd {
	if getenv == nil || getenv("NOTIFY_SOCKET") == "" {
		return nil
	}
	s := &systemd{
		socket: newNotifySocket(getenv("NOTIFY_SOCKET"), log), log: log,
		state: master.Starting, announced: serves,
		step: time.Duration(cfg.StartTimeout), mercy: time.Duration(cfg.WorkerReloadMercy),
	}
	var err error
	if s.interval, err = watchdogInterval(getenv); err != nil {
		log.Warn("systemd's watchdog gets no sign of life", "error", err)
	}
	if serves {
		s.state = master.Serving
	} else {
		s.say(status("starting"), extend(s.step))
	}
	return s
}

// close waits a moment for what systemd has not taken yet. It is told why, if it did not
// end well.
func (s *systemd) close(err error) {
	if s == nil {
		return
	}
	if err != nil {
		s.mu.Lock()
		s.say(status(err.Error()))
		s.mu.Unlock()
	}
	s.socket.close()
}

// handOver returns when systemd has taken what it was told: the program that is executed
// next knows nothing of it. Until that one gives signs of life, nobody will.
func (s *systemd) handOver(ctx context.Context, limit time.Duration) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	s.say(extend(limit))
	s.mu.Unlock()
	return s.await(ctx)
}

// await returns when systemd has taken what it was told.
func (s *systemd) await(ctx context.Context) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	taken := s.socket.flush()
	s.mu.Unlock()
	select {
	case <-taken:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// announce says that all sockets accept. The master may be further already: a reload that
// was asked for during the start begins at once.
func (s *systemd) announce(src stats.Source) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state >= master.LameDuck {
		return
	}
	s.announced = true
	s.ready(src, fmt.Sprintf("MAINPID=%d", os.Getpid()))
	if s.state == master.Reloading {
		s.reloading()
	}
}

// planned notes how long what comes may take. An old generation may still drain by its own,
// longer mercy.
func (s *systemd) planned(p master.Plan) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mercy = max(s.mercy, p.Mercy, p.LameDuck)
	s.step = p.StartTimeout + p.Probation
	if p.Surge > 0 { // a few at a time, each time waiting for old ones to go
		s.step += time.Duration(p.Workers/p.Surge) * (p.StartTimeout + p.Mercy)
	}
}

// progress is for what a master tells; src says what serves.
func (s *systemd) progress(p master.Progress, src stats.Source) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case p.Outcome != nil:
		s.setback = setback(*p.Outcome)
	case p.Step != 0:
		if s.announced && s.state == master.Reloading {
			s.say(status(fmt.Sprintf("reloading to generation %d: %s", p.Generation, p.Step)), extend(s.step))
		}
	default:
		s.move(p.State, src)
	}
}

func (s *systemd) move(to master.State, src stats.Source) {
	from := s.state
	s.state = to
	switch {
	case to == master.LameDuck:
		s.say("STOPPING=1", status("lame duck: serving until the load balancer has noticed"), extend(s.mercy))
	case to == master.Stopping:
		s.say("STOPPING=1", status("stopping"), extend(s.mercy))
	case !s.announced: // announce is going to say it
	case to == master.Reloading:
		s.reloading()
	case to == master.Serving && from == master.Reloading:
		s.ready(src)
	}
}

// reloading says since when. By that systemd tells the reload that its HUP began from one
// that ran before, whose end is not the one it waits for.
func (s *systemd) reloading() {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // every system has this clock
	s.say("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
}

func (s *systemd) ready(src stats.Source, more ...string) {
	now := src.Snapshot()
	text := fmt.Sprintf("serving, generation %d, build %s, %s%s", now.Generation, now.Build, crew(now), s.setback)
	s.say(append([]string{"READY=1", status(text)}, more...)...)
}

// say posts one datagram. Callers hold mu, which keeps the order.
func (s *systemd) say(fields ...string) { s.socket.post(datagram{text: strings.Join(fields, "\n")}) }

// crew counts the workers.
func crew(s stats.Snapshot) string {
	wanted, text := s.Wanted, strconv.Itoa(s.Ready)
	if s.Ready != wanted {
		text = fmt.Sprintf("%d of %d", s.Ready, wanted)
	}
	if wanted == 1 {
		return text + " worker"
	}
	return text + " workers"
}

// setback says why a reload was taken back: of a panic with its stack the first line says
// what happened.
func setback(o master.Outcome) string {
	if o.Live() {
		return ""
	}
	why := firstLine(o.Reason)
	if o.Words != "" {
		why += ": " + firstLine(o.Words)
	}
	return fmt.Sprintf("; reload to generation %d rejected at %s: %s", o.Generation, o.Step, why)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// status is a STATUS= that systemd takes: a line of UTF-8 without control characters, for a
// zero byte too has the whole datagram dropped.
func status(text string) string {
	text = firstLine(text)
	text = strings.ToValidUTF8(text[:min(len(text), maxStatus)], "")
	return "STATUS=" + strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// extend asks systemd to wait at least so long for the next datagram, whatever the
// TimeoutStartSec= or TimeoutStopSec= of the unit.
func extend(d time.Duration) string {
	return fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", (d + timeoutSlack).Microseconds())
}
