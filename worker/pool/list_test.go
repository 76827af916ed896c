package pool

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// A list must behave like the slice that it replaces.
func TestListBehavesLikeASlice(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	links := make([]link[int], 8)
	for i := range links {
		links[i].owner = i
	}
	var l list[int]
	var model []int
	for step := range 5000 {
		i := rng.IntN(len(links))
		at := slices.Index(model, i)
		switch {
		case at >= 0:
			if !l.remove(&links[i]) {
				t.Fatalf("step %d: member %d was not found", step, i)
			}
			model = slices.Delete(model, at, at+1)
		case rng.IntN(2) == 0:
			l.pushBack(&links[i])
			model = append(model, i)
		default:
			l.pushFront(&links[i])
			model = slices.Insert(model, 0, i)
		}
		var got []int
		for i := range l.all {
			got = append(got, i)
		}
		if !slices.Equal(got, model) || l.n != len(model) {
			t.Fatalf("step %d: list %v of %d, want %v", step, got, l.n, model)
		}
		if at < 0 {
			continue
		}
		if l.remove(&links[i]) {
			t.Fatalf("step %d: %d was removed twice", step, i)
		}
	}
}

func TestListMayLoseTheMemberAtHand(t *testing.T) {
	links := make([]link[int], 4)
	var l list[int]
	for i := range links {
		links[i].owner = i
		l.pushBack(&links[i])
	}
	for i := range l.all {
		if i%2 == 0 {
			l.remove(&links[i])
		}
	}
	var got []int
	for i := range l.all {
		got = append(got, i)
	}
	if !slices.Equal(got, []int{1, 3}) {
		t.Fatalf("left %v", got)
	}
}
