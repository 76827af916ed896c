package worker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/seed17661985/ostler/stats/scoreboard"
	"github.com/seed17661985/ostler/worker/control"
	"github.com/seed17661985/ostler/worker/pool"
)

func TestMain(m *testing.M) {
	if os.Getenv(control.EnvVar) != "" {
		os.Exit(beWorker())
	}
	if socket := os.Getenv(askEnv); socket != "" {
		os.Exit(beClient(socket))
	}
	goleak.VerifyTestMain(m)
}

// logs is a log that a test can read.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: l, Level: hclog.Debug})
}

func newPage(t testing.TB, slots int) *scoreboard.Page {
	t.Helper()
	page, f, err := scoreboard.Create(slots, 2)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return page
}

// memListener is a listener in memory, for fake time.
type memListener struct {
	queue  chan net.Conn
	once   sync.Once
	closed chan struct{}
	broken chan error // makes Accept fail
}

func newMemListener() *memListener {
	return &memListener{queue: make(chan net.Conn, 16), closed: make(chan struct{}), broken: make(chan error)}
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case err := <-l.broken:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *memListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

// get makes a request on a connection of its own.
func (l *memListener) get(path string) (status int, body string, err error) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	l.queue <- theirs
	if _, err := io.WriteString(ours, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		return 0, "", err
	}
	res, err := http.ReadResponse(bufio.NewReader(ours), nil)
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// caller is a client that keeps its connection and reads when it likes.
type caller struct {
	t    *testing.T
	conn net.Conn
	br   *bufio.Reader
}

// call sends a request, or the beginning of one.
func (l *memListener) call(t *testing.T, text string) *caller {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close() })
	l.queue <- theirs
	c := &caller{t, ours, bufio.NewReader(ours)}
	c.send(text)
	return c
}

func (c *caller) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatal(err)
	}
}

// head reads the beginning of a response.
func (c *caller) head() *http.Response {
	c.t.Helper()
	res, err := http.ReadResponse(c.br, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

// rest reads the other part, to its proper end.
func (c *caller) rest(res *http.Response) string {
	c.t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Errorf("the answer ends after %q: %v", body, err)
	}
	return string(body)
}

// plain is a whole request.
func plain(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }

// untilCut writes to a client that does not read, and so returns when it is cut.
func untilCut(w io.Writer) { _, _ = w.Write(make([]byte, 64<<10)) }

// fakeInheritance is what a fake master gives to its worker.
type fakeInheritance struct {
	page      *scoreboard.Page
	listeners []*memListener
	pageErr   error
	listenErr error
	sockets   int // what done was told
}

func (f *fakeInheritance) scoreboard() (*scoreboard.Page, error) { return f.page, f.pageErr }
func (f *fakeInheritance) done(sockets int)                      { f.sockets = sockets }
func (f *fakeInheritance) takeLog() error                        { return nil }

func (f *fakeInheritance) listener(i int, s control.Socket) (net.Listener, error) {
	if i > 0 && f.listenErr != nil {
		return nil, f.listenErr
	}
	return f.listeners[i], nil
}

// app is an application under test.
type app struct {
	handler http.HandlerFunc
	slots   int
	close   func() error
	reopen  func() error
	mercy   time.Duration // UpgradeMercy
	metrics func(context.Context) ([]byte, bool, error)

	ctx    context.Context // what the build was given
	closed chan struct{}   // closed by Close
}

func (a *app) build(ctx context.Context, s control.Setup) (Service, error) {
	a.ctx, a.closed = ctx, make(chan struct{})
	return Service{
		Handler:   a.handler,
		NewServer: newHTTPServer,
		Pool:      pool.Options{Slots: a.slots},
		Reopen:    a.reopen,
		Metrics:   a.metrics,

		UpgradeMercy: a.mercy,
		Close: func() error {
			close(a.closed)
			if a.close != nil {
				return a.close()
			}
			return nil
		},
	}, nil
}

func newHTTPServer(_ control.Socket, h http.Handler, p *pool.Pool) (Server, pool.GateOptions, error) {
	srv := &http.Server{Handler: h, ConnContext: p.ConnContext, ConnState: p.ConnState}
	return srv, pool.GateOptions{Grace: 10 * time.Millisecond}, nil
}

func hello(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }

// rig is a worker with a fake master.
type rig struct {
	t       *testing.T
	conn    *control.Conn        // the master's end
	said    chan control.Message // what the worker says
	signals chan os.Signal
	ended   chan error // the result of Run
	given   *fakeInheritance
	log     *logs
	stop    context.CancelFunc // ends the context of Run
}

// web and second are the sockets of a rig.
var setupOfTests = control.Setup{
	Slot: 2, Generation: 7,
	Sockets: []control.Socket{{Name: "web", Proto: "http"}, {Name: "second", Proto: "http"}},
	Mercy:   20 * time.Second, Linger: time.Second,
}

// start runs a worker up to its Hello.
func start(t *testing.T, build BuildFunc) *rig {
	t.Helper()
	ours, theirs := net.Pipe()
	r := &rig{t: t, conn: control.NewConn(ours), said: make(chan control.Message, 16),
		signals: make(chan os.Signal, 4), ended: make(chan error, 1), log: &logs{},
		given: &fakeInheritance{page: newPage(t, 4), listeners: []*memListener{newMemListener(), newMemListener()}}}
	go func() {
		for {
			m, err := r.conn.Recv()
			if err != nil {
				return
			}
			r.said <- m
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	t.Cleanup(func() { cancel(); ours.Close() })
	go func() {
		r.ended <- Run(ctx, Options{Conn: control.NewConn(theirs), BuildID: "test build", Build: build,
			Log: always(r.log.logger()), inherited: r.given, signals: r.signals})
	}()
	if h := expect[control.Hello](r); h.Version != control.Version || h.PID != os.Getpid() || h.Build != "test build" {
		t.Errorf("greeting %+v", h)
	}
	return r
}

// serving runs a worker up to its Ready.
func serving(t *testing.T, a *app) *rig {
	t.Helper()
	r := start(t, a.build)
	r.send(setupOfTests)
	expect[control.Ready](r)
	return r
}

func (r *rig) send(m control.Message) {
	r.t.Helper()
	if err := r.conn.Send(m); err != nil {
		r.t.Errorf("send %T: %v", m, err)
	}
}

// expect waits for the worker's next word.
func expect[M control.Message](r *rig) M {
	r.t.Helper()
	select {
	case m := <-r.said:
		if got, ok := m.(M); ok {
			return got
		}
		r.t.Fatalf("the worker said %T %+v", m, m)
	case <-time.After(time.Hour): // fake time
		r.t.Fatalf("the worker said nothing; its log:\n%s", r.log)
	}
	panic("not reached")
}

// end waits for the end of Run.
func (r *rig) end() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(time.Hour):
		r.t.Fatalf("the worker did not end\n%s", r.log)
		return nil
	}
}

func (r *rig) logged(text string) {
	r.t.Helper()
	if !strings.Contains(r.log.String(), text) {
		r.t.Errorf("not in the log: %s\n%s", text, r.log)
	}
}

func (r *rig) state() State { return State(r.given.page.State()) }

func open(c <-chan struct{}) bool {
	select {
	case <-c:
		return false
	default:
		return true
	}
}

var errBroken = errors.New("broken")

// always is for tests that do not care what the setup says about the log.
func always(log hclog.Logger) func(control.Setup) hclog.Logger {
	return func(control.Setup) hclog.Logger { return log }
}
