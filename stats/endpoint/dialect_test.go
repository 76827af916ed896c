package endpoint

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed17661985/ostler/stats"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func TestAClientThatSaysNothingGetsTheDocument(t *testing.T) {
	for name, at := range addresses(t) {
		ln := listen(t, at[0], at[1])
		serving(t, ln, Options{Source: sample()})
		c := dial(t, ln)
		body, err := io.ReadAll(c)
		var s stats.Snapshot
		if err == nil {
			err = json.Unmarshal(body, &s)
		}
		if err != nil || s.Generation != 4 || body[len(body)-1] != '\n' {
			t.Errorf("%s: %v, %.100q", name, err, body)
		}
	}
}

// pipes is a listener whose connections are in memory, so that time can be fake.
type pipes struct {
	next  chan net.Conn
	trips int // first this many accepts fail

	once   sync.Once
	closed chan struct{}
}

func newPipes(trips int) *pipes {
	return &pipes{next: make(chan net.Conn), trips: trips, closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	if p.trips > 0 {
		p.trips--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	select {
	case c := <-p.next:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// ended is a client whose input ended at once: half a close.
type ended struct{ net.Conn }

func (ended) Read([]byte) (int, error) { return 0, io.EOF }

// front runs check beside dialects that answer "document", in fake time.
func front(t *testing.T, trips int, check func(p *pipes, d *dialects)) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes(trips)
		d := newDialects(p, newConns(maxConns, new(atomic.Uint64)), func() []byte { return []byte("document") })
		check(p, d)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		d.finish(t.Context())
		if len(d.open.open) != 0 {
			t.Errorf("%d connections are counted as open", len(d.open.open))
		}
	})
}

func TestWhoIsSilentIsAnsweredAfterTheQuiet(t *testing.T) {
	front(t, 0, func(p *pipes, _ *dialects) {
		began := time.Now()
		client, server := net.Pipe()
		p.next <- server
		if body, err := io.ReadAll(client); string(body) != "document" || err != nil {
			t.Errorf("%q, %v", body, err)
		}
		if took := time.Since(began); took < quiet || took > quiet+linger {
			t.Errorf("after %v", took)
		}
	})
}

func TestWhoEndsItsInputIsAnsweredAtOnce(t *testing.T) {
	front(t, 0, func(p *pipes, _ *dialects) {
		began := time.Now()
		client, server := net.Pipe()
		p.next <- ended{server}
		if body, err := io.ReadAll(client); string(body) != "document" || err != nil {
			t.Errorf("%q, %v", body, err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("after %v", took)
		}
	})
}

func TestWhatIsNoHTTPGetsTheDocumentToo(t *testing.T) {
	for _, said := range []string{"\n", "\x16\x03\x01", "{}", "\x00\x00\x00\x00", "get / HTTP/1.1\r\n\r\n"} {
		front(t, 0, func(p *pipes, _ *dialects) {
			client, server := net.Pipe()
			p.next <- server
			go func() { _, _ = io.WriteString(client, said) }()
			if body, err := io.ReadAll(client); string(body) != "document" || err != nil {
				t.Errorf("%q: %q, %v", said, body, err)
			}
			client.Close()
		})
	}
}

func TestHTTPMayTakeItsTimeAfterTheFirstByte(t *testing.T) {
	front(t, 0, func(p *pipes, d *dialects) {
		client, server := net.Pipe()
		p.next <- server
		go func() {
			for _, piece := range []string{"G", "ET / HT", "TP/1.0\r\n\r\n"} {
				time.Sleep(quiet - time.Millisecond) // fake time
				_, _ = io.WriteString(client, piece)
			}
		}()
		c, err := d.Accept()
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil || req.Method != http.MethodGet {
			t.Errorf("%+v, %v", req, err)
		}
		c.Close()
	})
}

func TestNobodyWaitsForTheSilent(t *testing.T) {
	front(t, 0, func(p *pipes, d *dialects) {
		began := time.Now()
		for range maxConns - 1 {
			_, server := net.Pipe()
			p.next <- server
		}
		client, server := net.Pipe()
		p.next <- server
		go func() { _, _ = io.WriteString(client, "GET") }()
		c, err := d.Accept()
		if err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		c.Close()
	})
}

func TestTooManyOpenFilesAreWaitedFor(t *testing.T) {
	front(t, 10, func(p *pipes, _ *dialects) {
		client, server := net.Pipe()
		p.next <- server
		if body, err := io.ReadAll(client); string(body) != "document" || err != nil {
			t.Errorf("%q, %v", body, err)
		}
	})
}

// At the limit the one goes on which nothing has moved for longest, and the new one stays.
func TestTheStalestMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shed atomic.Uint64
		open := newConns(3, &shed)
		admitted := func() *conn {
			client, server := net.Pipe()
			t.Cleanup(func() { _ = client.Close() })
			go func() { _, _ = io.Copy(io.Discard, client) }()
			time.Sleep(time.Millisecond) // fake time
			return open.admit(server)
		}
		first, second, third := admitted(), admitted(), admitted()
		time.Sleep(time.Millisecond)
		_, _ = io.WriteString(first, "moves") // now the second is the stalest
		fresh := admitted()
		if _, err := second.Write([]byte("x")); err == nil || shed.Load() != 1 {
			t.Errorf("the stalest is still open (%v), %d were shed", err, shed.Load())
		}
		for name, c := range map[string]*conn{"that was used last": first, "third": third, "new": fresh} {
			if _, err := c.Write([]byte("x")); err != nil {
				t.Errorf("the %s one: %v", name, err)
			}
			_ = c.Close()
		}
	})
}

// The same as a client sees it. Which of the idle ones goes is left open: the kernel gives an
// answer to the client before the server can note that it went out.
func TestOneOfManyMakesRoom(t *testing.T) {
	ln := listen(t, "tcp", "127.0.0.1:0")
	serving(t, ln, Options{Source: sample()})
	ask := func() error {
		c := spoken(t, ln, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
	for range maxConns + 1 {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	body, _ := io.ReadAll(spoken(t, ln, "GET /metrics HTTP/1.0\r\n\r\n"))
	if !strings.Contains(string(body), "\nostler_stats_connections_shed_total 2\n") { // this client came too
		t.Errorf("not counted: %s", body)
	}
}

// Each document is longer than what the kernel keeps for a client that does not read.
func TestReadersThatNeverReadKeepNobodyOut(t *testing.T) {
	s := stats.Snapshot(sample())
	s.Cwd = strings.Repeat("long", 1<<17)
	for name, at := range addresses(t) {
		ln := listen(t, at[0], at[1])
		serving(t, ln, Options{Source: fixed(s)})
		for n := range 200 {
			c := dial(t, ln)
			if n%2 == 0 {
				_, _ = io.WriteString(c, "GET /stats HTTP/1.1\r\nHost: x\r\n\r\n")
			}
			if n%50 == 49 {
				if got, err := stats.Fetch(t.Context(), ln.Addr().String()); err != nil || len(got.Cwd) != len(s.Cwd) {
					t.Errorf("%s: after %d of them: %v", name, n+1, err)
				}
			}
		}
	}
}

// A scrape that waits for the application is not stale, however many others come.
func TestWhoIsBeingServedStays(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	slow := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		close(inside)
		<-release
		return nil, nil
	})
	ln := listen(t, "tcp", "127.0.0.1:0")
	serving(t, ln, Options{Source: sample(), App: slow})
	c := spoken(t, ln, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
	<-inside
	for range 2 * maxConns { // each of them is younger, and each is seen
		begun := spoken(t, ln, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if res, err := http.ReadResponse(bufio.NewReader(begun), nil); err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res, err)
		}
	}
	close(release)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(body), "\nostler_generation 4\n") {
		t.Errorf("%v: %.200s", err, body)
	}
}
