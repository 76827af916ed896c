package endpoint

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// Parting ends an http server when everybody who came was answered. http.Server.Shutdown does
// not wait for that: it closes a connection whose request is just being read, and the client gets an end
// for an answer.
type Parting struct {
	srv *http.Server

	mu    sync.Mutex
	open  int           // connections
	empty chan struct{} // nil unless somebody waits; closed when none is open
}

// NewParting is called before srv serves. It takes the place of srv.ConnState.
func NewParting(srv *http.Server) *Parting {
	p := &Parting{srv: srv}
	srv.ConnState = p.note
	return p
}

func (p *Parting) note(_ net.Conn, state http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch state {
	case http.StateNew:
		p.open++
	case http.StateClosed, http.StateHijacked:
		p.open--
		p.tell()
	case http.StateActive, http.StateIdle:
	}
}

// tell is called with mu held.
func (p *Parting) tell() {
	if p.open == 0 && p.empty != nil {
		close(p.empty)
		p.empty = nil
	}
}

// End is called once, when Serve has returned because its listener was closed. It returns
// when everybody was answered and is gone, or with the error of ctx; those who are left
// then are still served.
func (p *Parting) End(ctx context.Context) error {
	p.srv.SetKeepAlivesEnabled(false) // nobody stays; who is idle goes now
	empty := make(chan struct{})
	p.mu.Lock()
	p.empty = empty
	p.tell()
	p.mu.Unlock()
	select {
	case <-empty:
		return p.srv.Shutdown(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}
