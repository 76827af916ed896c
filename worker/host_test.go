package worker

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed17661985/ostler/worker/control"
)

// hosted runs an application in this process until it is ready.
func hosted(t *testing.T, a *app, cut <-chan struct{}) (ln *memListener, h Host, stop context.CancelFunc, ended chan error) {
	t.Helper()
	ln = newMemListener()
	ready := make(chan struct{})
	log := &logs{}
	h = Host{
		Sockets: []control.Socket{{Name: "web", Proto: "http"}}, Listeners: []net.Listener{ln}, Page: newPage(t, 2),
		Build: a.build, Config: []byte(`{"a":1}`), Log: log.logger(), Mercy: 20 * time.Second,
		Ready: func() { close(ready) }, Cut: cut,
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	ended = make(chan error, 1)
	go func() { ended <- Serve(ctx, h) }()
	<-ready
	return ln, h, cancel, ended
}

func TestHostServesAndDrainsWithoutAMaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := make(chan struct{})
		a := &app{handler: func(w http.ResponseWriter, r *http.Request) {
			close(begun)
			time.Sleep(10 * time.Second)
			io.WriteString(w, "done")
		}}
		ln, h, stop, ended := hosted(t, a, nil)
		answered := make(chan string, 1)
		go func() {
			_, body, _ := ln.get("/")
			answered <- body
		}()
		<-begun
		stop()
		<-a.ctx.Done()
		if body := <-answered; body != "done" {
			t.Errorf("the running request got %q", body)
		}
		if err := <-ended; err != nil || open(a.closed) {
			t.Errorf("Serve: %v, closed %v", err, !open(a.closed))
		}
		if n := h.Page.Totals().Requests; n != 1 || State(h.Page.State()) != Done {
			t.Errorf("%d requests on the page, %s", n, State(h.Page.State()))
		}
	})
}

func TestHostIsCut(t *testing.T) {
	for _, draining := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			begun, cut := make(chan struct{}), make(chan struct{})
			a := &app{handler: func(w http.ResponseWriter, r *http.Request) {
				close(begun)
				<-r.Context().Done()
			}}
			ln, _, stop, ended := hosted(t, a, cut)
			go ln.get("/")
			<-begun
			if draining {
				stop()
				synctest.Wait()
			}
			began := time.Now()
			close(cut)
			if err := <-ended; err == nil || time.Since(began) != 0 {
				t.Errorf("Serve: %v after %s", err, time.Since(began))
			}
		})
	}
}

// Nobody would send a successor.
func TestHostEndsWhenAServerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln, _, _, ended := hosted(t, &app{handler: hello}, nil)
		ln.broken <- errBroken
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "serve http socket web: broken") {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestHostSaysWhyItCannotServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := Host{Page: newPage(t, 1), Log: (&logs{}).logger(), Build: func(_ context.Context, s control.Setup) (Service, error) {
			return Service{}, errBroken
		}}
		if err := Serve(t.Context(), h); err == nil || err.Error() != "build: broken" {
			t.Errorf("Serve: %v", err)
		}
		h.Sockets = []control.Socket{{Name: "web"}}
		if err := Serve(t.Context(), h); err == nil || !strings.Contains(err.Error(), "0 listeners for 1 sockets") {
			t.Errorf("Serve: %v", err)
		}
	})
}
