package stats

import (
	"encoding/json"
	"iter"
	"maps"
	"reflect"
	"strings"
	"testing"
)

func TestEveryReasonHasAName(t *testing.T) {
	for r := RejectQueueTimeout; int(r) <= NumRejects; r++ {
		if strings.Contains(r.String(), "(") {
			t.Errorf("reject %d has no name", uint8(r))
		}
	}
	for e := ExitReload; int(e) <= NumExits; e++ {
		if strings.Contains(e.String(), "(") {
			t.Errorf("exit %d has no name", uint8(e))
		}
	}
	if Reject(0).String() != "Reject(0)" || Exit(99).String() != "Exit(99)" {
		t.Error("a number that is no reason has a name")
	}
}

// The name of a reason in the JSON, in a Prometheus label and in a log are one.
func TestReasonsAreShownUnderTheirNames(t *testing.T) {
	rejects, exits := make(map[string]uint64), make(map[string]uint64)
	var r Rejects
	for i := range r {
		r[i] = uint64(i + 1)
		rejects[Reject(i+1).String()] = r[i]
	}
	var e Exits
	for i := range e {
		e[i] = uint64(i + 1)
		exits[Exit(i+1).String()] = e[i]
	}
	check := func(shown any, each iter.Seq2[string, uint64], want map[string]uint64) {
		t.Helper()
		b, err := json.Marshal(shown)
		got := make(map[string]uint64)
		if err == nil {
			err = json.Unmarshal(b, &got)
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("in JSON %v, %v, want %v", got, err, want)
		}
		if got := maps.Collect(each); !reflect.DeepEqual(got, want) {
			t.Errorf("Each gives %v, want %v", got, want)
		}
	}
	check(r.row(), r.row().Each(), rejects)
	check(e.Restarts(), e.Restarts().Each(), exits)
	if r.Total() != 45 {
		t.Errorf("the sum of 1 to 9 is %d", r.Total())
	}
}

func TestARefusalsStatusTellsItsReason(t *testing.T) {
	for status, want := range map[int]Reject{
		400: RejectMalformed, 501: RejectMalformed, 505: RejectMalformed, 0: RejectMalformed,
		403: RejectNotAllowed, 408: RejectHeadTimeout, 504: RejectHeadTimeout,
		413: RejectTooLarge, 414: RejectTooLarge, 431: RejectTooLarge,
	} {
		if got := RejectFor(status); got != want {
			t.Errorf("RejectFor(%d) = %v, want %v", status, got, want)
		}
	}
}
