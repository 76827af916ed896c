package server_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// badDeploy is something that should not have been deployed.
type badDeploy struct {
	name   string
	put    func(s *shop) // nil: a good program
	toml   string        // put before the configuration
	phases []string      // in which it may turn out
	words  []string      // in which it says why; status shows the first
	costs  func(error) bool
}

// way deploys a program that is bad in one of its own ways.
func way(bad string) func(*shop) { return func(s *shop) { s.deploy(bad) } }

// altered deploys the other build after something was done to its file.
func altered(alter func([]byte) []byte) func(*shop) {
	return func(s *shop) {
		s.deploy("")
		text, err := os.ReadFile(s.path)
		if err != nil {
			s.t.Fatal(err)
		}
		servertest.Put(s.t, s.path, alter(text), 0o755)
	}
}

// ofAnotherMachine: e_machine is at 18 in the head of each ELF file, and 22 is an IBM
// S/390.
func ofAnotherMachine(text []byte) []byte {
	binary.NativeEndian.PutUint16(text[18:], 22)
	return text
}

// badDeploys has the twelve kinds of the issue, some of them twice.
func badDeploys(taken net.Listener) []badDeploy {
	load, canary := []string{"load"}, []string{"canary"}
	serving := []string{"roll", "probation"} // the candidate serves from its first worker on
	return []badDeploy{
		{name: "not executable", phases: load, words: []string{"permission denied"}, put: func(s *shop) {
			servertest.Put(s.t, s.path, []byte("\x7fELF"), 0o644)
		}},
		{name: "no interpreter", phases: load, words: []string{"no such file"}, put: func(s *shop) {
			servertest.Put(s.t, s.path, []byte("#!/no/such/interpreter\n"), 0o755)
		}},
		{name: "truncated", phases: load, words: []string{"for its plan"}, put: altered(func(text []byte) []byte { return text[:len(text)/3] })},
		{name: "of another machine", phases: load, words: []string{"exec format error"}, put: altered(ofAnotherMachine)},
		{name: "missing", phases: load, words: []string{"no such file"}, put: func(s *shop) {
			if err := os.Remove(s.path); err != nil {
				s.t.Fatal(err)
			}
		}},
		{name: "a mistake in the file", phases: load, toml: "procesess = 3\n", words: []string{`procesess: unknown key (did you mean "processes"?)`}},
		{name: "a port that is taken", phases: []string{"bind"}, toml: fmt.Sprintf("socket = [\"$DIR/uwsgi\", %q]\n", taken.Addr()), words: []string{taken.Addr().String(), "in use"}},
		{name: "an error of New", phases: canary, put: way("refuses"), words: []string{"no database at db.example:5432"}},
		{name: "a panic of New", phases: canary, put: way("panics"), words: []string{"the chimney is on fire", "main.open"}},
		{name: "a panic in init", phases: canary, put: way("panics-in-init"), words: []string{"the alarm clock is broken", "main.wakeUp"}},
		{name: "exit 0 in New", phases: canary, put: way("exits"), words: []string{"exited with status 0 before it was ready", "nothing to do today"}},
		{name: "a hang in New", phases: canary, put: way("hangs"), toml: "start-timeout = \"2s\"\n", words: []string{"start-timeout", "main.waitForTheBaker"}},
		{name: "a panic once it serves", phases: serving, put: way("dies-later"), toml: "reload-probation = \"10s\"\n",
			words: []string{"the roof fell down"}, costs: diedWithIt},
		{name: "500 for everybody", phases: serving, put: way("fails"), toml: "reload-probation = \"10s\"\n",
			words: []string{"with a 5xx status"}, costs: func(err error) bool { return strings.Contains(err.Error(), "out of bread") }},
	}
}

// diedWithIt tells what becomes of a request in a process that dies; nothing else does.
func diedWithIt(err error) bool {
	return slices.ContainsFunc([]string{"EOF", "reset by peer", "broken pipe", "502"}, func(s string) bool { return strings.Contains(err.Error(), s) })
}

// Whatever is deployed, and wherever it turns out to be bad: the old program serves on,
// who asked is told why, and the next good one works.
func TestBadDeploysChangeNothing(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := openShop(t, shopping)
	nginx := s.behindNginx(t)
	for _, bad := range badDeploys(taken) {
		t.Run(bad.name, func(t *testing.T) {
			s.t = t
			serving, before := file(t, s.path), s.Stats()
			loads := s.customers(t, nginx, 1)
			s.requestsFlow(loads)
			s.try(bad)
			s.requestsFlow(loads)
			for _, l := range loads {
				bad.mayCost(t, l.Stop())
			}
			s.servesOn(before, serving)
			s.Write(keep + shopping)
			s.deploy("")
			s.reload()
			if now := s.Stats(); now.Build != s.build().ID || now.Ready != 2 {
				t.Errorf("the good program after it: build %s, want %s, and %d workers are ready", now.Build, s.build().ID, now.Ready)
			}
		})
	}
}

// mayCost judges what was lost. A request that a candidate has taken is in its hands.
func (b badDeploy) mayCost(t *testing.T, failed []error) {
	t.Helper()
	for _, err := range failed {
		if b.costs == nil || !b.costs(err) {
			t.Errorf("lost: %v", err)
		}
	}
	t.Logf("%d requests were the candidate's", len(failed))
}

// unquoted undoes what the log does to a value of one line.
var unquoted = strings.NewReplacer(`\"`, `"`)

// try deploys and wants to be told why not, at once and later.
func (s *shop) try(bad badDeploy) {
	s.t.Helper()
	if bad.put == nil {
		bad.put = way("")
	}
	bad.put(s)
	s.Write(bad.configuration())
	logged := len(s.Log())
	out, code := s.command("reload")
	last := s.Stats().LastReload
	if code != 1 || last == nil || last.OK != 0 || !slices.Contains(bad.phases, last.Step) {
		s.t.Fatalf("exit code %d, want 1 and one of %v: %+v\n%s", code, bad.phases, last, out)
	}
	if !strings.Contains(out, "("+last.Step+")") {
		s.t.Errorf("the answer does not name the phase %s:\n%s", last.Step, out)
	}
	status, _ := s.command("status")
	for _, words := range bad.words {
		for where, text := range map[string]string{"answer": out, "stats": last.Reason + "\n" + last.Words, "log": unquoted.Replace(s.Log()[logged:])} {
			if !strings.Contains(text, words) {
				s.t.Errorf("%q is not in the %s:\n%s", words, where, text)
			}
		}
	}
	if !strings.Contains(status, "rejected at "+last.Step) || !strings.Contains(status, bad.words[0]) {
		s.t.Errorf("status does not tell %s and %q:\n%s", last.Step, bad.words[0], status)
	}
}

// configuration is the shop's with another key or another value of one.
func (b badDeploy) configuration() string {
	key, _, _ := strings.Cut(b.toml, " ")
	lines := slices.DeleteFunc(strings.SplitAfter(keep+shopping, "\n"), func(line string) bool {
		return key != "" && strings.HasPrefix(line, key+" ")
	})
	return b.toml + strings.Join(lines, "")
}

// servesOn wants the workers that there were, and one that is killed to be replaced by the
// program that serves, which is at no path any more.
func (s *shop) servesOn(before stats.Snapshot, serving os.FileInfo) {
	s.t.Helper()
	now := s.Stats()
	if now.Build != before.Build || now.Generation != before.Generation || now.PID != before.PID {
		s.t.Errorf("build %s, generation %d, pid %d before, now %s, %d, %d",
			before.Build, before.Generation, before.PID, now.Build, now.Generation, now.PID)
	}
	for n, w := range now.Workers {
		if w.PID != before.Workers[n].PID {
			s.t.Errorf("worker %d was %d and is %d", n+1, before.Workers[n].PID, w.PID)
		}
	}
	victim := now.Workers[0].PID
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	back := s.WaitFor("the killed worker is back", func(now stats.Snapshot) bool {
		return now.Workers[0].PID != victim && now.Ready == 2 && now.Workers[0].Accepting == 1
	})
	if pid := back.Workers[0].PID; !runs(pid, serving) || back.Build != before.Build {
		to, _ := os.Readlink(filepath.Join("/proc", fmt.Sprint(pid), "exe"))
		s.t.Errorf("in its place runs %s of build %s, want the program that serves, %s", to, back.Build, before.Build)
	}
}
