package strict

import (
	"net/http"
	"strings"
	"testing"
)

// Each input is answered, its cause is told once, and nothing behind it is served: with the
// input in one piece, and byte by byte.
func TestMalformedRequestsAreRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, http.HandlerFunc(readAll))
	for _, c := range table(t) {
		for _, piecewise := range []bool{false, true} {
			if piecewise && len(c.Input) > 10000 {
				continue
			}
			before := len(s.refusals())
			got := s.exchange(t, c.Input, piecewise)
			if got != c.Status {
				t.Errorf("%s (byte by byte: %t): answered %q, want %q", c.Name, piecewise, got, c.Status)
			}
			told := s.refusals()[before:]
			if len(told) != 1 || !strings.Contains(told[0].Cause, c.Cause) {
				t.Errorf("%s (byte by byte: %t): refusals %v, want one of %q", c.Name, piecewise, told, c.Cause)
			}
			for _, p := range s.paths() {
				if strings.Contains(p, "smuggled") {
					t.Errorf("%s (byte by byte: %t): the smuggled request was served", c.Name, piecewise)
				}
			}
		}
	}
}

// exchange sends input and returns the statuses of the answers.
func (s *site) exchange(t *testing.T, input string, piecewise bool) string {
	t.Helper()
	c := dial(t, s.addr)
	defer c.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		size := len(input)
		if piecewise {
			size = 1
		}
		for at := 0; at < len(input); at += size {
			if _, err := c.Write([]byte(input[at:min(at+size, len(input))])); err != nil {
				return // it was refused before its end
			}
		}
	}()
	got, err := answers(c)
	if err != nil {
		t.Errorf("read the answer: %v", err)
	}
	<-sent
	return got
}

// What the client still sends when it is refused must not reset the connection: the reset
// would overtake the answer.
func TestRefusalReachesAClientThatGoesOnSending(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, http.HandlerFunc(readAll))
	for range 20 {
		got := s.exchange(t, "GET / HTTP/1.1\r\n\r\n"+strings.Repeat("more", 30<<10), false)
		if got != "400" {
			t.Fatalf("answered %q", got)
		}
	}
}

func TestHTTP2IsRefusedWhereItIsNotAllowed(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, http.HandlerFunc(readAll))
	if got := s.exchange(t, preface, false); got != "400" || len(s.refusals()) != 1 {
		t.Errorf("answered %q, refusals %v", got, s.refusals())
	}
}

func TestAHeadThatBreaksOffIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, Options{}, http.HandlerFunc(readAll))
	for _, head := range []string{"G", "GET ", "GET / HTTP/1.1\r\nHost: x\r\n"} {
		c := dial(t, s.addr)
		if _, err := c.Write([]byte(head)); err != nil {
			t.Fatal(err)
		}
		c.CloseWrite()
		if got, err := answers(c); got != "400" || err != nil {
			t.Errorf("%q: answered %q, %v", head, got, err)
		}
	}
	c := dial(t, s.addr) // a probe that sends nothing
	c.CloseWrite()
	if got, err := answers(c); got != "" || err != nil {
		t.Errorf("answered nothing with %q, %v", got, err)
	}
	for _, r := range s.refusals() {
		if !strings.Contains(r.Cause, "ends within") {
			t.Errorf("cause %q", r.Cause)
		}
	}
	if n := len(s.refusals()); n != 3 {
		t.Errorf("%d refusals, want 3", n)
	}
}

func TestEveryPhaseHasAName(t *testing.T) {
	t.Parallel()
	for p := between; p <= refused; p++ {
		if strings.Contains(p.String(), "phase(") {
			t.Errorf("phase %d has no name", uint8(p))
		}
	}
}
