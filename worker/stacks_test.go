package worker

import (
	"slices"
	"testing"
)

// The handler's own stack comes first, however many goroutines it has started.
func TestTheHandlersStackComesFirst(t *testing.T) {
	all := []stack{{goroutines: 3}, {goroutines: 9}, {goroutines: 1, handler: true}}
	slices.SortStableFunc(all, stack.compare)
	if !all[0].handler || all[1].goroutines != 9 || all[2].goroutines != 3 {
		t.Errorf("%+v", all)
	}
}
