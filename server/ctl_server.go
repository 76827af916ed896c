package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/stats"
)

// The control socket: HTTP and JSON on a unix socket of mode 0600, for the
// commands reload, stop and status. It answers when the outcome is known.
//
//	POST /reload            a reloadStep a line as it comes to them, then a reloadAnswer
//	POST /reload?nowait=1   reloadAnswer at once: the reload is asked for
//	POST /stop[?now=1]      stopAnswer; the connection ends when the process does
//	GET  /status            stats.Snapshot
const (
	ctlReload = "/reload"
	ctlStop   = "/stop"
	ctlStatus = "/status"
)

// reloadStep tells how far a reload has come.
type reloadStep struct {
	Generation int    `json:"generation"` // the one that is tried
	Phase      string `json:"phase"`      // master.Step
}

// reloadAnswer tells what became of a reload.
type reloadAnswer struct {
	Done       bool   `json:"done"` // true: it is no reloadStep
	OK         bool   `json:"ok"`
	Generation int    `json:"generation"`       // the one that was tried
	Build      string `json:"build,omitempty"`  // of its program
	Phase      string `json:"phase,omitempty"`  // where a reload that was taken back had come to
	Error      string `json:"error,omitempty"`  // why
	Words      string `json:"words,omitempty"`  // what the new program printed: a panic, stacks
	Busy       bool   `json:"busy,omitempty"`   // another reload is running
	Queued     bool   `json:"queued,omitempty"` // nobody waits for it
	TookMS     int64  `json:"took_ms"`
}

// stopAnswer is sent when the last worker is gone.
type stopAnswer struct {
	PID int `json:"pid"`
}

// ctl serves the control socket of one master.
type ctl struct {
	reload   func(context.Context, func(master.Progress)) (master.Outcome, error)
	request  func() // a reload that nobody waits for
	stop     func(now bool)
	snapshot func() stats.Snapshot
	ended    <-chan struct{} // closed when the master has no worker left
	commands *waiting
	log      hclog.Logger
}

// waiting is the connections of commands that wait for this process to end.
type waiting struct {
	answers sync.WaitGroup // being written on connections that the server does not know any more

	mu    sync.Mutex
	conns []net.Conn
}

func (w *waiting) hold(conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, conn)
}

// release is the last act of a master whose process goes on.
func (w *waiting) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		_ = conn.Close()
	}
	w.conns = nil
}

// server is the HTTP server around c. A command may wait as long as a reload
// takes, so there is no write timeout.
func (c *ctl) server() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+ctlReload, c.serveReload)
	mux.HandleFunc("POST "+ctlStop, c.serveStop)
	mux.HandleFunc("GET "+ctlStatus, c.serveStatus)
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          c.log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
}

func (c *ctl) serveReload(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("nowait") != "" {
		c.request()
		writeJSON(w, reloadAnswer{Done: true, OK: true, Queued: true})
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	lines, flush := json.NewEncoder(w), http.NewResponseController(w)
	out, err := c.reload(r.Context(), func(p master.Progress) {
		_ = lines.Encode(reloadStep{Generation: p.Generation, Phase: p.Step.String()})
		_ = flush.Flush()
	})
	_ = lines.Encode(answerTo(out, err))
}

func answerTo(out master.Outcome, err error) reloadAnswer {
	answer := reloadAnswer{
		Done: true, OK: err == nil, Generation: out.Generation, Build: out.Build, TookMS: out.Took.Milliseconds(),
	}
	var rejected *master.RejectedError
	switch {
	case errors.As(err, &rejected):
		answer.Phase, answer.Error, answer.Words = out.Step.String(), out.Reason, out.Words
	case err != nil:
		answer.Error, answer.Busy = err.Error(), errors.Is(err, master.ErrReloadRunning)
	}
	return answer
}

func (c *ctl) serveStatus(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, c.snapshot())
}

// serveStop answers when the workers are gone, and then leaves the connection
// open: the kernel closes it when this process has really ended, with its
// pidfile and sockets removed. That is what the command waits for.
func (c *ctl) serveStop(w http.ResponseWriter, r *http.Request) {
	c.stop(r.URL.Query().Get("now") != "")
	<-c.ended
	// Before the hijack: with it the server is done, and the process might end.
	c.commands.answers.Add(1)
	defer c.commands.answers.Done()
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		c.log.Error("control socket: stop was not answered", "error", err)
		return
	}
	body, _ := json.Marshal(stopAnswer{PID: os.Getpid()})
	fmt.Fprintf(buf, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n%s\n", body)
	_ = buf.Flush()
	c.commands.hold(conn)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the command went away: nobody is left to tell
}

// ownersOnly passes connections of this user and of root. The socket's mode
// says the same, but a mode can be changed by a careless chmod -R.
type ownersOnly struct {
	net.Listener
	log hclog.Logger
}

func (l ownersOnly) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		uid, err := peerUID(conn)
		if err == nil && (uid == 0 || uid == os.Geteuid()) {
			return conn, nil
		}
		l.log.Warn("control socket: connection refused", "uid", uid, "error", err)
		_ = conn.Close()
	}
}
