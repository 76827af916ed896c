package master

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPingTellsALoopFromOneThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{live: good}
		m, end := run(t.Context(), t, Plan{Workers: 1}, l, nil)
		<-m.Started()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Ping(ctx); err != nil {
			t.Errorf("a loop that runs: %v", err)
		}
		m.Stop(false)
		if err := end(); err != nil {
			t.Error(err)
		}
		if err := m.Ping(ctx); err != nil {
			t.Errorf("after the end: %v", err)
		}
		if err := New(Options{}).Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a loop that never comes: %v", err)
		}
	})
}
