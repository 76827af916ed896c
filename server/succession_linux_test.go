package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// askAgainAndAgain asks for the status at the control socket, and fails when there is no
// answer or when something went back that must not.
func (s *shop) askAgainAndAgain(t *testing.T) *servertest.Load {
	rt := transport(s.Instance, "http-socket", "control")
	var last stats.Snapshot
	return servertest.Run(t, 1, func() error {
		resp, err := rt.RoundTrip(must(http.NewRequest(http.MethodGet, "http://control/status", nil)))
		if err != nil {
			return fmt.Errorf("status: %w", err)
		}
		defer resp.Body.Close()
		var now stats.Snapshot
		if err := json.NewDecoder(resp.Body).Decode(&now); err != nil {
			return fmt.Errorf("status: %w", err)
		}
		back := now.Generation < last.Generation || now.Reloads.OK < last.Reloads.OK || last.LastReload != nil && now.LastReload == nil
		if last.PID != 0 && (back || now.StartedAt != last.StartedAt || now.PID != last.PID || len(now.Workers) < len(last.Workers)) {
			return fmt.Errorf("status: from %+v to %+v", last, now)
		}
		last = now
		return nil
	})
}

// happening is something that may come while one master follows another.
type happening struct {
	name string
	do   func(s *shop) (seen func() bool)
}

func happenings() []happening {
	return []happening{
		{"HUP", func(s *shop) func() bool {
			seen := s.oneMoreReload()
			s.Signal(syscall.SIGHUP)
			return seen
		}},
		{"touch-reload", func(s *shop) func() bool {
			seen := s.oneMoreReload()
			servertest.Put(s.t, filepath.Join(s.Dir, "touch-me"), nil, 0o644)
			return seen
		}},
		{"USR1", func(s *shop) func() bool {
			path := filepath.Join(s.Dir, "log")
			_ = os.Rename(path, path+".old")
			s.Signal(syscall.SIGUSR1)
			return func() bool { _, err := os.Stat(path); return err == nil }
		}},
		{"USR2", func(s *shop) func() bool {
			before := strings.Count(s.Log(), "ostler: status:")
			s.Signal(syscall.SIGUSR2)
			return func() bool { return strings.Count(s.Log(), "ostler: status:") > before }
		}},
		{"TTIN", func(s *shop) func() bool {
			s.Signal(syscall.SIGTTIN)
			return func() bool { return s.Stats().Ready == 3 }
		}},
		{"TTOU", func(s *shop) func() bool {
			s.Signal(syscall.SIGTTOU)
			return func() bool { return s.Stats().Wanted == 1 }
		}},
		{"a worker killed", func(s *shop) func() bool {
			victim := s.Stats().Workers[0].PID
			_ = syscall.Kill(victim, syscall.SIGKILL)
			return func() bool { now := s.Stats(); return now.Workers[0].PID != victim && now.Ready == 2 }
		}},
	}
}

// oneMoreReload is called after the one that changed the program was done, so that the next
// to begin is the one that is asked for now.
func (s *shop) oneMoreReload() (seen func() bool) {
	before := s.Stats().Generation
	return func() bool { return s.Stats().Generation > before }
}

// What comes while a program takes the master's place is not lost and ends nothing, and
// whoever asks is answered; no number goes back.
func TestSuccessionMissesNothing(t *testing.T) {
	t.Parallel()
	s := openShop(t, shopping+"touch-reload = \"$DIR/touch-me\"\n")
	watches := []*servertest.Load{watchTotals(t, s.Instance).Load, s.askAgainAndAgain(t)}
	stop := watchApp(t, s.Instance, "stats")
	load := servertest.Run(t, 1, servertest.Echo(s.HTTP("http").Transport, "http://site/"))
	for round := range soaking(8, 70) {
		h := happenings()[round%len(happenings())]
		s.deploy("")
		s.reload()
		<-aWhile()
		s.Until(h.name+" was noticed", h.do(s))
		s.succeeded()
	}
	before := load.Done()
	s.Until("requests flow", func() bool { return load.Done() > before+20 })
	for _, err := range load.Stop() {
		if !diedWithIt(err) { // the killed worker's own
			t.Errorf("lost: %v", err)
		}
	}
	stop()
	for _, w := range watches {
		w.MustLoseNothing()
	}
}

// A storm of signals over master after master: each is survived, and in the end all is as
// it should be.
func TestSuccessionInAStorm(t *testing.T) {
	t.Parallel()
	s := openShop(t, shopping)
	load := servertest.Run(t, 2, servertest.Echo(s.HTTP("http").Transport, "http://site/"))
	over := make(chan struct{})
	var storm sync.WaitGroup
	for sig, pause := range map[syscall.Signal]time.Duration{
		syscall.SIGHUP: 2 * time.Second, syscall.SIGUSR1: 2 * time.Millisecond, syscall.SIGUSR2: 2 * time.Millisecond,
		syscall.SIGTTIN: time.Second, syscall.SIGTTOU: time.Second,
	} {
		storm.Go(func() {
			for {
				select {
				case <-time.After(rand.N(pause)):
					s.Signal(sig)
				case <-over:
					return
				}
			}
		})
	}
	for range soaking(5, 50) {
		s.deploy("")
		s.Signal(syscall.SIGHUP)
		s.succeeded()
	}
	close(over)
	storm.Wait()
	load.MustLoseNothing()
	s.deploy("")
	s.Signal(syscall.SIGHUP) // a reload takes the number of workers of the file again
	s.WaitFor("what was deployed last serves", func(now stats.Snapshot) bool {
		return now.Build == s.build().ID && now.Ready == 2 && now.State == "serving"
	})
	s.succeeded()
	s.stops(t)
}

// stops wants a TERM to end everything.
func (s *shop) stops(t *testing.T) {
	t.Helper()
	s.Signal(syscall.SIGTERM)
	if err := s.Wait(); err != nil {
		t.Fatalf("the master ended with %v\n%s", err, s.Log())
	}
	for _, name := range []string{"pid", "http", "uwsgi", "stats", "control"} {
		if _, err := os.Lstat(filepath.Join(s.Dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left behind (%v)", name, err)
		}
	}
	s.nobodyLeft()
}

// A TERM in the middle of it is a clean stop.
func TestSuccessionEndsByTerm(t *testing.T) {
	t.Parallel()
	s := openShop(t, shopping)
	for range soaking(5, 80) {
		s.deploy("")
		s.reload()
		<-aWhile()
		s.stops(t)
		s.Again(servertest.Process{Program: s.path})
		s.serves(t)
	}
}

// A program that would not do as a master does not become it; its workers serve all the
// same, and the next one that does follows. Then, too, the instance is taken, and is
// stopped by its command.
func TestSuccessionIsRehearsed(t *testing.T) {
	t.Parallel()
	s := openShop(t, shopping)
	master := file(t, s.path)
	s.deploy("unwilling")
	s.reload()
	s.Until("the log says why", func() bool { return strings.Contains(s.Log(), "the throne is too high") })
	s.serves(t)
	if !runs(s.PID(), master) || !strings.Contains(s.Log(), "the master stays the program it was") {
		t.Errorf("the master is another program\n%s", s.Log())
	}
	s.Signal(syscall.SIGUSR2)
	s.Until("signals are heard", func() bool { return strings.Contains(s.Log(), "ostler: status:") })
	if out, code := s.command("status"); code != 0 || !strings.Contains(out, "build "+s.build().ID) {
		t.Errorf("status: exit code %d\n%s", code, out)
	}
	s.deploy("")
	s.reload()
	s.succeeded()
	s.serves(t)
	if out, code := s.command(); code != 1 || !strings.Contains(out, fmt.Sprintf("pid %d", s.PID())) {
		t.Errorf("a second start: exit code %d, want 1 and the pid %d\n%s", code, s.PID(), out)
	}
	if out, code := s.command("stop"); code != 0 {
		t.Errorf("stop: exit code %d\n%s", code, out)
	}
	if err := s.Wait(); err != nil {
		t.Errorf("the master ended with %v", err)
	}
	s.nobodyLeft()
}
