package master

import (
	"context"
	"encoding/json"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/worker/control"
)

// A master that was frozen for a program that could not be executed goes on as if nothing
// had been: what happened meanwhile is seen.
func TestAFrozenMasterGoesOnWhenThawed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	i := start(t, Plan{Workers: 2, Sockets: []Socket{unixSocket(path)}})
	pid := ask(t, path).PID
	i.mail.post(note{overrun: &overrun{1, control.Overrun{ID: 7, Percent: 50}}})
	for n := range 3 {
		if err := i.AwaitRest(t.Context()); err != nil {
			t.Fatal(err)
		}
		f, err := i.Freeze(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckState(f.State); err != nil {
			t.Errorf("its state is not understood: %v", err)
		}
		if l, err := decodeLegacy(f.State); err != nil || len(l.Overruns) != 1 || len(l.Crashes) != n {
			t.Errorf("%v; the next program hears of %d overruns and %d crashes", err, len(l.Overruns), len(l.Crashes))
		}
		ask(t, path) // workers need no master
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		f.Thaw()
		s := i.await("the worker is replaced", func(s stats.Snapshot) bool {
			return s.Ready == 2 && s.Workers[0].PID != pid && s.Workers[1].PID != pid
		})
		pid = s.Workers[0].PID
	}
	if _, err := i.Reload(t.Context(), nil); err != nil {
		t.Errorf("a reload after it all: %v", err)
	}
	ask(t, path)
}

// Who gives up waiting for a freeze leaves no master that stands still.
func TestAFreezeThatIsGivenUp(t *testing.T) {
	i := start(t, Plan{Workers: 1, Sockets: []Socket{tcp("127.0.0.1:0")}})
	ctx, giveUp := context.WithCancel(t.Context())
	giveUp()
	for range 20 {
		if f, err := i.Freeze(ctx); err == nil {
			f.Thaw()
		}
		if err := i.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := i.Reload(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// A master that has something to do is not frozen.
func TestAMasterThatReloadsIsNotFrozen(t *testing.T) {
	i := start(t, Plan{Workers: 1, Sockets: []Socket{tcp("127.0.0.1:0")}})
	var err error
	_, _ = i.Reload(t.Context(), func(p Progress) {
		if p.Step == StepCanary {
			_, err = i.Freeze(t.Context())
		}
	})
	if err != ErrRestless {
		t.Errorf("in a reload: %v", err)
	}
}

func TestAStateThatMakesNoSenseIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":                   `{`,
		"a generation without plan": `{"Machine":{"Generations":[{"ID":3}]}}`,
		"no live generation":        `{}`,
		"a process without a slot":  `{"Machine":{"Processes":[{"Inc":3,"Slot":1,"PID":7}]},"Processes":{"3":{}}}`,
		"an unreachable process":    `{"Machine":{"Slots":[{}],"Processes":[{"Inc":3,"Slot":1,"PID":7}]}}`,
	} {
		if err := CheckState(json.RawMessage(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
