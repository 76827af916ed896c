package master

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Forks for several slots at the same time have each its own CPUs, whichever threads they run
// on, and leave the threads as they were.
func TestForksAtTheSameTimeAreBoundEachToItsOwn(t *testing.T) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	if all.Count() < 2 {
		t.Skip("one CPU is nothing to choose from")
	}
	var forking sync.WaitGroup
	gate := make(chan struct{})
	for slot := 1; slot <= 16; slot++ {
		forking.Go(func() {
			<-gate
			for range 20 {
				_, err := boundTo(1, slot, func() (int, error) {
					var mine unix.CPUSet
					if err := unix.SchedGetaffinity(0, &mine); err != nil {
						return 0, err
					}
					if want := turn(listOf(all), 1, slot); !slices.Equal(listOf(mine), want) {
						return 0, errors.New("bound to another CPU than its own")
					}
					return 1, nil
				})
				if err != nil {
					t.Errorf("slot %d: %v", slot, err)
				}
			}
		})
	}
	close(gate)
	forking.Wait()
}
