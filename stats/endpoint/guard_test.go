package endpoint

import (
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// named stands for a family of metrics.
type named string

func (n named) GetName() string { return string(n) }

func TestAGatheringThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failures, calls atomic.Uint64
		release := make(chan struct{})
		get := guarded(func() ([]named, error) {
			if calls.Add(1) == 1 {
				<-release
			}
			return []named{"a"}, nil
		}, &failures)
		began := time.Now()
		if all, err := get(); len(all) != 0 || err != nil || time.Since(began) != appTimeout {
			t.Errorf("%v, %v after %v", all, err, time.Since(began))
		}
		began = time.Now()
		if all, err := get(); len(all) != 0 || err != nil || time.Since(began) != 0 {
			t.Errorf("while it hangs: %v, %v after %v", all, err, time.Since(began))
		}
		if failures.Load() != 2 || calls.Load() != 1 {
			t.Errorf("%d failures of %d calls", failures.Load(), calls.Load())
		}
		close(release)
		synctest.Wait()
		if all, err := get(); !reflect.DeepEqual(all, []named{"a"}) || err != nil || failures.Load() != 2 {
			t.Errorf("afterwards: %v, %v", all, err)
		}
	})
}

func TestWhatIsGatheredIsKeptWithAnError(t *testing.T) {
	var failures atomic.Uint64
	gathered := []named{"ostler_x", "b"}
	get := guarded(func() ([]named, error) { return gathered, errors.New("half of it") }, &failures)
	if all, err := get(); !reflect.DeepEqual(all, []named{"b"}) || err != nil || failures.Load() != 1 {
		t.Errorf("%v, %v, %d failures", all, err, failures.Load())
	}
	if gathered[0] != "ostler_x" {
		t.Error("the gatherer's own slice was changed")
	}
}

func TestWhoAsksTogetherSharesOneMaking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := 0
		gate := make(chan struct{})
		s := newShared(func() (int, error) {
			made++
			<-gate
			return made, nil
		})
		got := make(chan int, 100)
		ask := func() {
			n, _ := s.get()
			got <- n
		}
		go ask()
		synctest.Wait() // the first is being made
		for range 99 {
			go ask()
		}
		synctest.Wait()
		gate <- struct{}{}
		if n := <-got; n != 1 {
			t.Errorf("the first got number %d", n)
		}
		gate <- struct{}{}
		for range 99 { // these asked after the first was begun
			if n := <-got; n != 2 {
				t.Fatalf("got number %d", n)
			}
		}
	})
}

func TestAPanicLeavesNobodyWaiting(t *testing.T) {
	s := newShared(func() (int, error) { panic("no") })
	for range 2 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is lost")
				}
			}()
			_, _ = s.get()
		}()
	}
}
