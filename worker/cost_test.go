package worker

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/seed17661985/ostler/server/uwsgi"
	"github.com/seed17661985/ostler/stats/scoreboard"
	"github.com/seed17661985/ostler/worker/accept"
	"github.com/seed17661985/ostler/worker/pool"
)

// frugal is a handler that allocates nothing itself.
type frugal struct {
	kind []string
	body []byte
}

func (f *frugal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Content-Type"] = f.kind
	_, _ = w.Write(f.body)
}

// uwsgiStack is all that a worker has between a uwsgi socket and an application.
func uwsgiStack(tb testing.TB, h http.Handler) (socket string) {
	tb.Helper()
	page, file, err := scoreboard.Create(4, 1)
	if err != nil {
		tb.Fatal(err)
	}
	_ = file.Close()
	p := pool.New(pool.Options{Page: page})
	socket = filepath.Join(tb.TempDir(), "s")
	inner, err := net.Listen("unix", socket)
	if err != nil {
		tb.Fatal(err)
	}
	ln, err := accept.Listen(inner)
	if err != nil {
		tb.Fatal(err)
	}
	srv := &uwsgi.Server{Handler: p.Handler(h), ConnContext: p.ConnContext, HeaderTimeout: time.Minute, ReadTimeout: time.Minute, WriteTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(p.Gate(ln, pool.GateOptions{})) }()
	tb.Cleanup(func() {
		_ = srv.Close()
		<-ended
	})
	return socket
}

// plainRequest is what nginx sends of a request of curl's.
func plainRequest() []byte {
	r := uwsgi.Request{}
	for _, v := range [][2]string{
		{"QUERY_STRING", ""}, {"REQUEST_METHOD", "GET"}, {"CONTENT_TYPE", ""}, {"CONTENT_LENGTH", ""},
		{"REQUEST_URI", "/hello"}, {"PATH_INFO", "/hello"}, {"DOCUMENT_ROOT", "/usr/share/nginx/html"},
		{"SERVER_PROTOCOL", "HTTP/1.1"}, {"REQUEST_SCHEME", "http"}, {"REMOTE_ADDR", "127.0.0.1"},
		{"REMOTE_PORT", "51234"}, {"SERVER_PORT", "80"}, {"SERVER_NAME", "example.org"},
		{"HTTP_HOST", "example.org"}, {"HTTP_USER_AGENT", "curl/8.5.0"}, {"HTTP_ACCEPT", "*/*"},
	} {
		r.Vars.Add(v[0], v[1])
	}
	b, err := r.AppendTo(nil)
	if err != nil {
		panic(err) // it is far from too large
	}
	return b
}

// askEnv makes this test's program a client: it names the socket.
const askEnv = "OSTLER_TEST_ASK"

// requestsAsked is what one such client asks for, one after the other.
const requestsAsked = 2000

// beClient is a process of its own, so that it shares neither the allocations nor the
// scheduler of the server that is looked at.
func beClient(socket string) int {
	request, answer := plainRequest(), make([]byte, 4096)
	for range requestsAsked {
		c, err := net.Dial("unix", socket)
		if err != nil {
			return fail(err)
		}
		if _, err := c.Write(request); err != nil {
			return fail(err)
		}
		n, err := io.ReadFull(c, answer)
		if err != io.ErrUnexpectedEOF || !bytes.HasSuffix(answer[:n], []byte("Hello, world\n")) {
			return fail(fmt.Errorf("answered %q, %v", answer[:n], err))
		}
		_ = c.Close()
	}
	return 0
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func runClient(tb testing.TB, socket string) {
	tb.Helper()
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	client := exec.Command(exe)
	client.Env = append(os.Environ(), askEnv+"="+socket)
	if out, err := client.CombinedOutput(); err != nil {
		tb.Fatalf("client: %v\n%s", err, out)
	}
}

// Nine pieces, see TestARequestIsMadeOfNinePieces; on a busy machine an Accept that shares
// the runtime's poller, and a request that comes late, add some.
func TestUWSGIRequestAllocatesLittle(t *testing.T) {
	socket := uwsgiStack(t, &frugal{kind: []string{"text/plain"}, body: []byte("Hello, world\n")})
	runClient(t, socket) // fills the pools
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	runClient(t, socket)
	runtime.ReadMemStats(&after)
	objects := float64(after.Mallocs-before.Mallocs) / requestsAsked
	size := float64(after.TotalAlloc-before.TotalAlloc) / requestsAsked
	t.Logf("%.2f allocations, %.0f bytes for a request and its connection", objects, size)
	most := 12.0
	if forgetful {
		most += 5 // three pooled buffers
	}
	if objects > most {
		t.Errorf("%.2f allocations for a request and its connection, %.0f are allowed", objects, most)
	}
}
