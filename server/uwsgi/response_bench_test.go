package uwsgi

import (
	"net"
	"net/http"
	"testing"
)

// sink is a connection that takes everything at once.
type sink struct {
	net.Conn
	bytes int64
}

func (s *sink) TryRead([]byte) (int, error) { return 0, net.ErrClosed }

func (s *sink) TryWrite(p []byte) (int, error) { s.bytes += int64(len(p)); return len(p), nil }

func (s *sink) TryWritev(v [][]byte) (n int, err error) {
	for _, p := range v {
		n += len(p)
	}
	s.bytes += int64(n)
	return n, nil
}

// responder writes one response after the other, as handlers would that allocate nothing.
func responder(body []byte) func() {
	s, out := &Server{}, &sink{}
	c := &conn{srv: s, rwc: out, prompt: out}
	header := http.Header{"Content-Type": {"text/plain"}}
	return func() {
		c.res = response{header: header}
		c.res.begin(c, http.MethodGet)
		_, _ = c.res.Write(body)
		if c.res.finish() != endComplete {
			panic("incomplete")
		}
	}
}

var _ prompt = (*sink)(nil)

func TestAResponseAllocatesNothing(t *testing.T) {
	check(t, "write a small response", 0, responder(make([]byte, 13)))
	check(t, "write a large response", 1, responder(make([]byte, 64<<10))) // the list of its two pieces
}

func BenchmarkResponse(b *testing.B) {
	for name, size := range map[string]int{"13B": 13, "2KiB": 2 << 10, "64KiB": 64 << 10} {
		b.Run(name, func(b *testing.B) {
			respond := responder(make([]byte, size))
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				respond()
			}
		})
	}
}
