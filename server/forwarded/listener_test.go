package forwarded

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// oneConn is a listener that accepts c.
type oneConn struct {
	net.Listener
	c net.Conn
}

func (l oneConn) Accept() (net.Conn, error) { return l.c, nil }

// from is a connection whose peer has an address of its own.
type from struct {
	net.Conn
	peer net.Addr
}

func (c from) RemoteAddr() net.Addr { return c.peer }

var _ interface { // what net/http and the pool look for
	CloseWrite() error
	NetConn() net.Conn
	io.ReaderFrom
} = (*base)(nil)

// accept gives both ends of a connection from peer to a listener that trusts 10.0.0.0/8,
// and the refusals.
func accept(t *testing.T, peer string) (client, server net.Conn, refused *[]string) {
	t.Helper()
	client, inner := net.Pipe()
	t.Cleanup(func() { client.Close(); inner.Close() })
	addr, err := net.ResolveTCPAddr("tcp", peer)
	if err != nil {
		t.Fatal(err)
	}
	refused = new([]string)
	ln := Listener(oneConn{c: from{inner, addr}}, Options{
		Trust: trusting("10.0.0.0/8"), HeaderTimeout: time.Second,
		OnRefuse: func(peer net.Addr, err error) { *refused = append(*refused, peer.String()+": "+err.Error()) },
	})
	server, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, server, refused
}

// send writes what in pieces and closes.
func send(c net.Conn, what string, piece int) {
	for len(what) > 0 {
		n := min(piece, len(what))
		if _, err := io.WriteString(c, what[:n]); err != nil {
			return
		}
		what = what[n:]
	}
	c.Close()
}

func TestTheHeaderEndsAndTheConnectionBegins(t *testing.T) {
	const request = "POST / HTTP/1.1\r\nHost: a\r\n\r\n"
	for wire, want := range headers() {
		if want == "" {
			want = "10.0.0.1:5"
		}
		for _, piece := range []int{1, 7, 1 << 20} {
			synctest.Test(t, func(t *testing.T) {
				client, server, refused := accept(t, "10.0.0.1:5")
				go send(client, wire+request, piece)
				if got := server.RemoteAddr().String(); got != want {
					t.Errorf("%q in pieces of %d: from %s, want %s", wire, piece, got, want)
				}
				if got, err := io.ReadAll(server); string(got) != request || err != nil || len(*refused) > 0 {
					t.Errorf("%q in pieces of %d: %q, %v, refused %v", wire, piece, got, err, *refused)
				}
			})
		}
	}
}

func TestAConnectionWithoutAHeaderIsTheSame(t *testing.T) {
	for _, wire := range []string{"GET / HTTP/1.1\r\n", "POST /", "P", "PROX", "\r\n\r\n", ""} {
		synctest.Test(t, func(t *testing.T) {
			client, server, refused := accept(t, "10.0.0.1:5")
			go send(client, wire, 2)
			got, err := io.ReadAll(server) // Read comes first
			if string(got) != wire || err != nil || len(*refused) > 0 || server.RemoteAddr().String() != "10.0.0.1:5" {
				t.Errorf("%q: %q, %v, refused %v", wire, got, err, *refused)
			}
		})
	}
}

func TestAStrangersHeaderEndsTheConnection(t *testing.T) {
	for wire := range headers() {
		synctest.Test(t, func(t *testing.T) {
			client, server, refused := accept(t, "192.0.2.66:5")
			go send(client, wire+"GET / HTTP/1.1\r\n\r\n", 1<<20)
			for range 2 {
				if n, err := server.Read(make([]byte, 100)); n != 0 || err != ErrRefused {
					t.Errorf("%q: read %d, %v", wire, n, err)
				}
			}
			if server.RemoteAddr().String() != "192.0.2.66:5" || len(*refused) != 1 {
				t.Errorf("%q: from %v, refused %v", wire, server.RemoteAddr(), *refused)
			}
		})
	}
}

func TestAStrangerIsServedLikeAnybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, refused := accept(t, "192.0.2.66:5")
		const wire = "GET /PROXY HTTP/1.1\r\n\r\nPROXY UNKNOWN\r\n" // only the beginning counts
		go send(client, wire, 20)
		got, err := io.ReadAll(server)
		if string(got) != wire || err != nil || len(*refused) > 0 {
			t.Errorf("%q, %v, refused %v", got, err, *refused)
		}
	})
}

func TestAMalformedHeaderEndsTheConnection(t *testing.T) {
	for _, wire := range malformed() {
		synctest.Test(t, func(t *testing.T) {
			client, server, refused := accept(t, "10.0.0.1:5")
			go send(client, wire+"GET / HTTP/1.1\r\n\r\n", 1<<20)
			for range 2 {
				if n, err := server.Read(make([]byte, 100)); n != 0 || err != ErrRefused {
					t.Errorf("%q: read %d, %v", wire, n, err)
				}
			}
			if len(*refused) != 1 || !strings.HasPrefix((*refused)[0], "10.0.0.1:5: ") {
				t.Errorf("%q: refused %q", wire, *refused)
			}
		})
	}
}

func TestAHeaderHasATimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, refused := accept(t, "10.0.0.1:5")
		go io.WriteString(client, "PROXY TCP4 1.")
		began := time.Now()
		server.RemoteAddr()
		if _, err := server.Read(make([]byte, 1)); time.Since(began) != time.Second || err == nil || len(*refused) != 1 {
			t.Errorf("after %s: %v, refused %v", time.Since(began), err, *refused)
		}
	})
}

// A health check that connects and goes, and a connection kept in stock, are no mistakes.
func TestSilenceIsNotRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, server, refused := accept(t, "10.0.0.1:5")
		server.RemoteAddr()
		var timeout interface{ Timeout() bool }
		if _, err := server.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() || len(*refused) > 0 {
			t.Errorf("%v, refused %v", err, *refused)
		}
	})
}

// The limit is the header's: it must not cut the body that follows.
func TestTheLimitEndsWithTheHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, _ := accept(t, "10.0.0.1:5")
		go func() {
			io.WriteString(client, "PROXY UNKNOWN\r\n")
			<-time.After(time.Minute) // fake time
			io.WriteString(client, "late")
			client.Close()
		}()
		server.RemoteAddr()
		if got, err := io.ReadAll(server); !bytes.Equal(got, []byte("late")) || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestNobodyTrustedIsTheListenerItself(t *testing.T) {
	ln := oneConn{}
	if got := Listener(ln, Options{}); got != net.Listener(ln) {
		t.Errorf("got %T", got)
	}
}
