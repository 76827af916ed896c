package server_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// moments of a reload, as the log has them. After the last but one the master is being
// replaced.
var moments = [...]string{
	"reload begins", "step=canary", "worker ready", "step=roll", "reload done", "reload done", "reload done", "took over",
}

// aWhile is a random part of what comes between two moments.
func aWhile() <-chan time.Time { return time.After(rand.N(150 * time.Millisecond)) }

// A master that is killed, whatever it was doing of a reload, leaves workers that finish
// what they have and go. A start on the same configuration works at once.
func TestKilledMastersLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	s := openShop(t, shopping+"worker-reload-mercy = \"2m\"\n")
	for round := range soaking(8, 50) {
		moment := moments[round%len(moments)]
		finish := s.holdRequest(t)
		s.deploy("")
		logged := len(s.Log())
		reloaded := make(chan int, 1)
		go func() {
			_, code := s.command("reload")
			reloaded <- code
		}()
		s.Until(moment, func() bool { return strings.Contains(s.Log()[logged:], moment) })
		<-aWhile()
		s.Signal(syscall.SIGKILL)
		_ = s.Wait()
		orphans := running(t, filepath.Dir(s.path))
		t.Logf("%s: %d processes are left; the command ended with %d", moment, len(orphans), <-reloaded)

		s.Again(servertest.Process{Program: s.path})
		s.serves(t)
		if err := finish(); err != nil {
			t.Errorf("%s: the request that ran was lost: %v", moment, err)
		}
		for _, pid := range orphans {
			s.Until(fmt.Sprintf("process %d is gone", pid), func() bool { return !servertest.Alive(pid) })
		}
		s.Until("only the master and two workers are left", func() bool { return len(running(t, filepath.Dir(s.path))) == 3 })
	}
}

// serves wants what was deployed, on all sockets.
func (s *shop) serves(t *testing.T) {
	t.Helper()
	for name, rt := range map[string]http.RoundTripper{
		"http": transport(s.Instance, "http-socket", "http"), "uwsgi": s.UWSGI("uwsgi"),
	} {
		if err := servertest.Echo(rt, "http://site/")(); err != nil {
			t.Fatalf("over %s: %v\n%s", name, err, s.Log())
		}
	}
	if now := s.Stats(); now.Build != s.build().ID || now.Ready != 2 || now.PID != s.PID() {
		t.Fatalf("build %s, want %s, %d workers are ready, pid %d, want %d", now.Build, s.build().ID, now.Ready, now.PID, s.PID())
	}
}

// holdRequest begins a request whose body does not end before finish is called.
func (s *shop) holdRequest(t *testing.T) (finish func() error) {
	t.Helper()
	body, more := io.Pipe()
	req := must(http.NewRequest(http.MethodPost, "http://site/held", body))
	answer := make(chan error, 1)
	go func() {
		resp, err := transport(s.Instance, "http-socket", "http").RoundTrip(req)
		if err == nil {
			defer resp.Body.Close()
			var got []byte
			if got, err = io.ReadAll(resp.Body); err == nil && !bytes.Equal(got, []byte("begun, done")) {
				err = fmt.Errorf("%s: %q", resp.Status, got)
			}
		}
		answer <- err
	}()
	_, _ = io.WriteString(more, "begun, ")
	s.WaitFor("the request runs", func(now stats.Snapshot) bool { return busy(now) > 0 })
	return func() error {
		go func() { // the answer may come without
			_, _ = io.WriteString(more, "done")
			_ = more.Close()
		}()
		defer body.Close()
		return <-answer
	}
}
