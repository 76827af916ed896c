package main

import (
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	keep      = 50   // lines that a newcomer is shown
	backlog   = 64   // events that wait for a slow reader, until it is sent away
	maxID     = 64   // bytes
	maxName   = 40   // bytes, cut at a letter
	maxText   = 2000 // bytes, cut at a letter
	anonymous = "somebody"
)

// line is something that was said. Its ID is the page's: it is how a page knows its own
// line when it comes back, and one that it has seen already.
type line struct {
	ID   string    `json:"id"`
	Name string    `json:"name"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

// event is what the room tells its members.
type event struct {
	Kind   string `json:"kind"`             // "welcome", "said" or "people"
	Worker int    `json:"worker,omitempty"` // process id, of a welcome
	People int    `json:"people,omitempty"` // how many are here, of a welcome and of "people"
	Lines  []line `json:"lines,omitempty"`  // of a welcome and of "said", oldest first
}

// room is who is here and what was said. All of it is memory of this process, which is why
// chat.toml asks for one process only.
type room struct {
	mu      sync.Mutex
	members map[*member]bool
	history []line
}

// member is one connection. The room closes the outbox of a member that reads too slowly:
// the others do not wait for it.
type member struct{ outbox chan event }

func newRoom() *room { return &room{members: map[*member]bool{}} }

func (r *room) join() *member {
	m := &member{outbox: make(chan event, backlog)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[m] = true
	n := len(r.members)
	m.outbox <- event{Kind: "welcome", Worker: os.Getpid(), People: n, Lines: append([]line(nil), r.history...)}
	r.tell(event{Kind: "people", People: n})
	return m
}

// leave may be called for a member that was sent away.
func (r *room) leave(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members[m] {
		r.drop(m)
		r.tell(event{Kind: "people", People: len(r.members)})
	}
}

// say passes a line on to everybody, its author included. A line without words is none.
func (r *room) say(l line) {
	l.ID, l.Name, l.Text = cut(l.ID, maxID), cut(l.Name, maxName), cut(l.Text, maxText)
	if l.Text == "" {
		return
	}
	if l.Name == "" {
		l.Name = anonymous
	}
	l.At = time.Now().UTC()
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.ID != "" && slices.ContainsFunc(r.history, func(old line) bool { return old.ID == l.ID }) {
		return // said again after a new connection, needlessly
	}
	r.history = append(r.history, l)
	r.history = r.history[max(0, len(r.history)-keep):]
	r.tell(event{Kind: "said", Lines: []line{l}})
}

// tell is called with mu held.
func (r *room) tell(e event) {
	for m := range r.members {
		select {
		case m.outbox <- e:
		default:
			r.drop(m)
		}
	}
}

// drop is called with mu held: nobody else writes to the outbox.
func (r *room) drop(m *member) {
	delete(r.members, m)
	close(m.outbox)
}

// cut shortens s to at most n bytes, without leaving half a letter.
func cut(s string, n int) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(strings.ToValidUTF8(s[:min(n, len(s))], ""))
}
