package servertest

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Gate holds handlers of any process until the test lets them go. GateHandler is
// the handler; its process finds the gate by the environment variable GATE,
// which the configuration sets:
//
//	[env]
//	GATE = "$DIR/gate"
type Gate struct {
	ln net.Listener
	wg sync.WaitGroup

	mu     sync.Mutex
	held   []net.Conn // in order of arrival
	inside int        // held ones, and released ones that have not left
	most   int        // highest inside there has been
	open   bool
}

// GateHandler waits at the gate and then answers "through\n".
func GateHandler(w http.ResponseWriter, _ *http.Request) {
	conn, err := net.Dial("unix", os.Getenv("GATE"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	word := make([]byte, 1)
	if _, err := conn.Read(word); err != nil { // until the test says go
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = conn.Write(word)          // leaving
	_, _ = io.Copy(io.Discard, conn) // the gate has counted us out: only now may others come in
	_, _ = io.WriteString(w, "through\n")
}

// NewGate makes the closed gate of an instance's folder.
func NewGate(t testing.TB, dir string) *Gate {
	t.Helper()
	ln, err := net.Listen("unix", filepath.Join(dir, "gate"))
	if err != nil {
		t.Fatal(err)
	}
	g := &Gate{ln: ln}
	g.wg.Go(g.admit)
	t.Cleanup(func() {
		ln.Close()
		g.Open()
		g.wg.Wait()
	})
	return g
}

func (g *Gate) admit() {
	for {
		conn, err := g.ln.Accept()
		if err != nil {
			return
		}
		g.enter(conn)
	}
}

func (g *Gate) enter(conn net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside++
	g.most = max(g.most, g.inside)
	g.held = append(g.held, conn)
	g.wg.Go(func() { g.leave(conn) })
	if g.open {
		g.letGo(1)
	}
}

// leave waits until the handler says that it is leaving, or was killed, and lets
// it return only after it was counted out: its slot cannot be taken before.
func (g *Gate) leave(conn net.Conn) {
	defer conn.Close()
	_, _ = conn.Read(make([]byte, 1))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
}

// letGo is called with mu held.
func (g *Gate) letGo(n int) {
	n = min(n, len(g.held))
	for _, conn := range g.held[:n] {
		_, _ = conn.Write([]byte{1}) // a handler that was killed is gone already
	}
	g.held = g.held[n:]
}

// Inside is how many handlers are at the gate now.
func (g *Gate) Inside() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside
}

// Most is the highest Inside there has been.
func (g *Gate) Most() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.most
}

// Release lets one handler go.
func (g *Gate) Release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.letGo(1)
}

// Open lets everybody go, those who are still to come too.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = true
	g.letGo(len(g.held))
}
