package strict

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/strict/malformed"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long an event may take before the test fails.
const patience = 30 * time.Second

// site is an *http.Server behind a Listener.
type site struct {
	addr string
	seen chan string // "METHOD path" of each request that reached a handler

	mu      sync.Mutex
	refused []Refusal
}

// serve serves mux, or what reads the body and says so.
func serve(t testing.TB, o Options, h http.Handler, set ...func(*http.Server)) *site {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{addr: ln.Addr().String(), seen: make(chan string, 1000)}
	o.OnRefuse = func(peer net.Addr, r *Refusal) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.refused = append(s.refused, *r)
	}
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.seen <- r.Method + " " + r.URL.Path
			h.ServeHTTP(w, r)
		}),
		ConnState: ConnState, MaxHeaderBytes: DefaultMaxHead, ReadHeaderTimeout: patience,
	}
	for _, f := range set {
		f(srv)
	}
	var open sync.WaitGroup // net/http waits half a second behind a 431
	next := srv.ConnState
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		next(c, state)
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Done()
		}
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(Listener(ln, o)) }()
	t.Cleanup(func() { srv.Close(); <-done; open.Wait() })
	return s
}

func (s *site) refusals() []Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Refusal(nil), s.refused...)
}

// paths drains what the handlers have seen.
func (s *site) paths() (list []string) {
	for {
		select {
		case p := <-s.seen:
			list = append(list, p)
		default:
			return list
		}
	}
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// answers reads the status of each response until the server closes.
func answers(r io.Reader) (string, error) {
	br := bufio.NewReader(r)
	var list []string
	for {
		resp, err := http.ReadResponse(br, nil)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return strings.Join(list, " "), nil
		}
		if err != nil {
			return strings.Join(list, " "), err
		}
		list = append(list, strconv.Itoa(resp.StatusCode))
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return strings.Join(list, " "), err
		}
	}
}

// readAll is a handler that answers 400 to a broken body.
func readAll(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = w.Write(body)
}

// table is the collection of malformed requests.
func table(t testing.TB) []malformed.Request {
	t.Helper()
	list, err := malformed.Requests()
	if err != nil {
		t.Fatal(err)
	}
	return list
}
