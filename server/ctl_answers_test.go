package server

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/seed17661985/ostler/stats/endpoint"
)

// handed is a listener of the connections in it.
type handed struct {
	conns chan net.Conn
	once  sync.Once
}

func (l *handed) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l *handed) Close() error   { l.once.Do(func() { close(l.conns) }); return nil }
func (l *handed) Addr() net.Addr { return &net.UnixAddr{Name: "handed", Net: "unix"} }

// When the control socket is closed the process ends. What is not written by then never is.
func TestAStopIsAnsweredBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, conn := net.Pipe() // a write waits for its reader, who takes his time
		ln := &handed{conns: make(chan net.Conn, 1)}
		ln.conns <- conn
		ended, asked, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
		commands := &waiting{}
		c := &ctl{stop: func(bool) { close(asked) }, ended: ended, commands: commands, log: hclog.NewNullLogger()}
		srv := c.server()
		parting := endpoint.NewParting(srv)
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = srv.Serve(ln)
		}()
		if _, err := client.Write([]byte("POST " + ctlStop + " HTTP/1.1\r\nHost: control\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		<-asked
		close(ended)
		go func() {
			defer close(over)
			_ = ln.Close()
			<-served
			_ = endControl(t.Context(), parting, commands)
		}()
		<-time.After(time.Hour)
		select {
		case <-over:
			t.Error("the end did not wait for the answer")
		default:
		}
		res, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		var answer stopAnswer
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusOK || answer.PID != os.Getpid() {
			t.Errorf("%s, %+v, %v", res.Status, answer, err)
		}
		<-over
		commands.release()
	})
}
