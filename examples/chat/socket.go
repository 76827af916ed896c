package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/seed17661985/ostler/server"
)

const (
	maxFrame  = 8 << 10                // of what a member sends
	pace      = 100 * time.Millisecond // between two lines of one member; who is faster waits
	pingEvery = 25 * time.Second       // less than the minute after which nginx takes silence for death
	patience  = 10 * time.Second       // for a member that does not take what it is sent
)

// ServeHTTP is the life of one member. While it lasts it holds no request slot: an upgraded
// connection gives its slot back.
func (r *room) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ws, err := websocket.Accept(w, req, nil)
	if err != nil {
		return // answered: not a websocket, or a page of another site
	}
	ws.SetReadLimit(maxFrame)
	m := r.join()
	defer r.leave(m)
	ctx, stop := context.WithCancel(req.Context())
	var listening sync.WaitGroup
	defer listening.Wait()
	defer ws.CloseNow() // ends the listening; nothing to do after a Close
	defer stop()
	listening.Go(func() {
		defer stop()
		r.listen(ctx, ws)
	})
	r.talk(ctx, ws, m, server.Draining(req.Context()))
}

// listen says in the room what the member sends, until it goes.
func (r *room) listen(ctx context.Context, ws *websocket.Conn) {
	ready := time.NewTicker(pace)
	defer ready.Stop()
	for {
		var l line
		if err := wsjson.Read(ctx, ws, &l); err != nil {
			return // gone, or no line: the library has told it why
		}
		r.say(l)
		select {
		case <-ready.C:
		case <-ctx.Done():
			return
		}
	}
}

// talk sends the member what is said, until it goes, is too slow, or this worker drains.
func (r *room) talk(ctx context.Context, ws *websocket.Conn, m *member, draining <-chan struct{}) {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		var err error
		select {
		case e, here := <-m.outbox:
			if !here {
				_ = ws.Close(websocket.StatusPolicyViolation, "reads too slowly")
				return
			}
			err = send(ctx, ws, e)
		case <-ping.C:
			err = within(ctx, ws.Ping)
		case <-draining:
			r.goodbye(ctx, ws, m)
			return
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// goodbye hands out what was said before and asks the page to come again: 1012 is service
// restart. Another worker is there already if this is a reload.
func (r *room) goodbye(ctx context.Context, ws *websocket.Conn, m *member) {
	r.leave(m)
	for e := range m.outbox {
		if send(ctx, ws, e) != nil {
			return
		}
	}
	_ = ws.Close(websocket.StatusServiceRestart, "come again")
}

func send(ctx context.Context, ws *websocket.Conn, e event) error {
	return within(ctx, func(ctx context.Context) error { return wsjson.Write(ctx, ws, e) })
}

func within(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return do(ctx)
}
