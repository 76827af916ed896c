package server

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// handed is a listener of the connections in it.
type handed chan net.Conn

func (l handed) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l handed) Close() error   { close(l); return nil } // http.Server calls it once
func (l handed) Addr() net.Addr { return &net.UnixAddr{Name: "handed", Net: "unix"} }

// When the control socket is closed the process ends. What is not written by then never is.
func TestAStopIsAnsweredBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, conn := net.Pipe() // a write waits for its reader, who takes his time
		ln := make(handed, 1)
		ln <- conn
		ended, asked, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
		commands := &waiting{}
		c := &ctl{stop: func(bool) { close(asked) }, ended: ended, commands: commands, log: hclog.NewNullLogger()}
		srv := c.server()
		go func() { _ = srv.Serve(ln) }()
		if _, err := client.Write([]byte("POST " + ctlStop + " HTTP/1.1\r\nHost: control\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		<-asked
		close(ended)
		go func() {
			defer close(over)
			_ = endControl(t.Context(), srv, commands)
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
