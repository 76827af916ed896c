package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"
)

// next is the event that waits for m.
func next(t *testing.T, m *member) event {
	t.Helper()
	select {
	case e, here := <-m.outbox:
		if !here {
			t.Fatal("the member was sent away")
		}
		return e
	default:
		t.Fatal("nothing was said")
		return event{}
	}
}

func TestNewcomersLearnWhatWasSaid(t *testing.T) {
	r := newRoom()
	for n := range keep + 5 {
		r.say(line{ID: fmt.Sprint(n), Name: "A", Text: fmt.Sprint(n)})
	}
	m := r.join()
	w := next(t, m)
	if w.Kind != "welcome" || w.People != 1 || w.Worker == 0 || len(w.Lines) != keep || w.Lines[0].Text != "5" {
		t.Errorf("welcome %+v", w)
	}
}

func TestEverybodyHearsWhoComesAndGoes(t *testing.T) {
	r := newRoom()
	first := r.join()
	next(t, first) // welcome
	next(t, first) // people 1
	second := r.join()
	if e := next(t, first); e.Kind != "people" || e.People != 2 {
		t.Errorf("after a newcomer: %+v", e)
	}
	r.leave(second)
	r.leave(second) // the end of its connection, after a goodbye
	if e := next(t, first); e.Kind != "people" || e.People != 1 || len(first.outbox) > 0 {
		t.Errorf("after a goodbye: %+v and %d more", e, len(first.outbox))
	}
}

// A page that stopped reading must not stop the room.
func TestASlowReaderIsSentAway(t *testing.T) {
	r := newRoom()
	slow, quick := r.join(), r.join()
	for n := range backlog + 1 {
		r.say(line{ID: fmt.Sprint(n), Text: "x"})
		for len(quick.outbox) > 0 {
			next(t, quick)
		}
	}
	if r.members[slow] || !r.members[quick] {
		t.Errorf("slow is here: %v, quick is here: %v", r.members[slow], r.members[quick])
	}
}

func TestALineThatComesTwiceIsSaidOnce(t *testing.T) {
	r := newRoom()
	for range 2 {
		r.say(line{ID: "one", Text: "a"})
		r.say(line{Text: "no id"})
	}
	if len(r.history) != 3 {
		t.Errorf("said: %+v", r.history)
	}
}

func TestWhatIsSaidIsTrimmed(t *testing.T) {
	r := newRoom()
	r.say(line{Text: " \n "})
	r.say(line{Text: " a ", ID: strings.Repeat("i", 200)})
	r.say(line{Name: strings.Repeat("é", 100), Text: strings.Repeat("語", 5000)})
	if len(r.history) != 2 {
		t.Fatalf("said: %+v", r.history)
	}
	if l := r.history[0]; l.Name != anonymous || l.Text != "a" || len(l.ID) != maxID || l.At.IsZero() {
		t.Errorf("%+v", l)
	}
	l := r.history[1]
	if len(l.Name) != maxName || len(l.Text) > maxText || len(l.Text) < maxText-3 || !utf8.ValidString(l.Text) {
		t.Errorf("%d bytes of name, %d bytes of text", len(l.Name), len(l.Text))
	}
}

func TestThePageIsServedAndKeptToItself(t *testing.T) {
	h, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		status int
		kind   string
	}{
		"/": {200, "text/html"}, "/chat.js": {200, "text/javascript"}, "/chat.css": {200, "text/css"},
		"/none": {404, "text/plain"}, "/room": {http.StatusUpgradeRequired, "text/plain"},
	} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
		if rec.Code != want.status || !strings.HasPrefix(rec.Header().Get("Content-Type"), want.kind) {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Header().Get("Content-Type"))
		}
		if path != "/room" && !strings.HasPrefix(rec.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: no policy", path)
		}
	}
}
