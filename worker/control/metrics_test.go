package control

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestMetricsOfAnyLengthSurviveTheWire(t *testing.T) {
	for _, size := range []int{0, 1, metricsInPart, metricsInPart + 1, 3*metricsInPart - 1, MaxMetrics} {
		want := Metrics{ID: 9, Partial: true, Data: noise(size)}
		var a Assembly
		for part := range want.Parts() {
			body, err := encode(part)
			if err != nil {
				t.Fatal(err)
			}
			m, _, err := decode(kindMetrics, body)
			if err != nil {
				t.Fatal(err)
			}
			got, done, err := a.Add(m.(Metrics))
			if err != nil || done == part.More {
				t.Fatalf("%d bytes: done %v after a part with More %v, %v", size, done, part.More, err)
			}
			if done && (!bytes.Equal(got.Data, want.Data) || got.ID != 9 || !got.Partial || got.More) {
				t.Errorf("%d bytes came as %d, %+v", size, len(got.Data), got.ID)
			}
		}
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(b)
	return b
}

func TestAnAnswerOverTheLimitIsRefusedOnceAndForgotten(t *testing.T) {
	var a Assembly
	errs, held := 0, 0
	for part := range (Metrics{ID: 1, Data: make([]byte, MaxMetrics+3*metricsInPart)}).Parts() {
		_, done, err := a.Add(part)
		if done {
			t.Fatal("it came through")
		}
		if err != nil {
			errs++
		}
		held = max(held, len(a.whole))
	}
	if errs != 1 || held > MaxMetrics || a.whole != nil {
		t.Errorf("%d errors, up to %d bytes held, %d in the end", errs, held, len(a.whole))
	}
	if m, done, err := a.Add(Metrics{ID: 2, Data: []byte("x")}); !done || err != nil || string(m.Data) != "x" {
		t.Errorf("the answer after it: %+v, %v, %v", m, done, err)
	}
}

func TestAnotherAnswerGivesTheUnfinishedOneUp(t *testing.T) {
	var a Assembly
	for _, p := range []Metrics{{ID: 1, More: true, Data: []byte("old")}, {ID: 2, More: true, Data: []byte("n")}} {
		if _, done, err := a.Add(p); done || err != nil {
			t.Fatal(done, err)
		}
	}
	if m, done, err := a.Add(Metrics{ID: 2, Data: []byte("ew")}); !done || err != nil || string(m.Data) != "new" {
		t.Errorf("%q, %v, %v, want the new one alone", m.Data, done, err)
	}
}

func TestAPartThatFitsNoFrameIsNotSent(t *testing.T) {
	_, err := encode(Metrics{Data: make([]byte, metricsInPart+1)})
	if err == nil || !strings.Contains(err.Error(), "the limit is") {
		t.Error(err)
	}
}

// FuzzAssembly: whatever parts come, what is held stays under the limit and what comes out
// is what the parts of that answer say.
func FuzzAssembly(f *testing.F) {
	f.Add([]byte{1, 1, 3, 'a', 'b', 'c', 1, 0, 1, 'd'})
	f.Add([]byte{1, 1, 0, 2, 1, 0, 1, 2, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		var a Assembly
		var id uint64
		var want []byte
		for open := false; len(in) >= 3; {
			part := Metrics{ID: uint64(in[0]), More: in[1]&1 != 0, Partial: in[1]&2 != 0}
			n := min(int(in[2]), len(in)-3)
			part.Data = in[3 : 3+n]
			in = in[3+n:]
			if !open || id != part.ID {
				want = nil
			}
			id, open = part.ID, part.More
			want = append(want, part.Data...)
			got, done, err := a.Add(part)
			if err != nil || done == part.More {
				t.Fatalf("done %v, %v", done, err)
			}
			if done && !bytes.Equal(got.Data, want) {
				t.Fatalf("%q came, want %q", got.Data, want)
			}
		}
	})
}
