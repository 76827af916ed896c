package parking

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// patience is how long a connection stays idle in the server. To leave and come back
	// costs about as much as two small requests.
	patience = time.Second

	// many idle connections in the server make it less patient, in proportion: thousands
	// that come within a second must not all have their buffers at once.
	many = 64

	// leastPatience keeps those in that are busy, however many there are: a worker that has
	// all it can do hears of each of 4,000 connections more often than that.
	leastPatience = 150 * time.Millisecond
)

// Options configure a Lot.
type Options struct {
	// IdleTimeout is the server's. Zero means none; then nothing is parked, because no
	// deadline is set in which the Lot could recognise the wait for a request.
	IdleTimeout time.Duration

	// Patience replaces how long a connection stays idle in the server. For tests.
	Patience time.Duration
}

// Lot is where the idle connections of one *http.Server are. That server must have ConnState
// in its field of the same name, and serve Listener and Returning.
type Lot struct {
	opts  Options
	epoch time.Time // what Conn.until counts from

	idle atomic.Int64  // connections that are idle in the server
	ids  atomic.Uint64 // given out

	back chan *Conn // to Returning
	done chan struct{}

	mu      sync.Mutex
	parked  map[uint64]*Conn
	watch   *watch // nil: none was parked yet
	rousing bool   // nobody is watched any more, everybody has a goroutine
	closed  bool

	stays    sync.WaitGroup // one for each of parked
	watching sync.WaitGroup
}

// New makes an empty Lot.
func New(o Options) *Lot {
	return &Lot{opts: o, epoch: time.Now(), back: make(chan *Conn), done: make(chan struct{}), parked: make(map[uint64]*Conn)}
}

// Parked is how many connections are here.
func (l *Lot) Parked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.parked)
}

// patience is how long a connection that goes idle now may stay so in the server.
func (l *Lot) patience() time.Duration {
	if l.opts.Patience > 0 {
		return l.opts.Patience
	}
	return patienceWith(l.idle.Load())
}

func patienceWith(idle int64) time.Duration {
	if idle <= many {
		return patience
	}
	return max(patience*many/time.Duration(idle), leastPatience)
}

// take is what Close does to a connection that leaves the server without being closed. It
// reports whether the Lot has it now.
func (l *Lot) take(c *Conn) bool {
	_ = c.Conn.SetReadDeadline(c.limit())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.parked[c.id] = c
	l.stays.Add(1)
	if l.startWatch() && l.watch.add(c) {
		c.watched = true
		c.alarm = time.AfterFunc(time.Until(c.limit()), func() { l.rouse(c.id) })
	} else {
		go l.keep(c)
	}
	return true
}

// startWatch reports whether there is a watch for the next connection. mu is held.
func (l *Lot) startWatch() bool {
	if l.rousing {
		return false
	}
	if l.watch == nil {
		w, err := newWatch()
		if err != nil {
			l.rousing = true // no descriptor for it, or another system
			return false
		}
		l.watch = w
		l.watching.Go(func() {
			w.run(l.rouse)
			l.Rouse() // it is closed, or has failed
		})
	}
	return true
}

// rouse gives a connection a goroutine to find out what there is to read, or that its time
// is over. One that was roused already is left alone.
func (l *Lot) rouse(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.parked[id]; c != nil {
		l.unwatch(c)
	}
}

func (l *Lot) unwatch(c *Conn) {
	if !c.watched {
		return
	}
	c.watched = false
	c.alarm.Stop()
	l.watch.remove(c)
	go l.keep(c)
}

// Rouse gives every connection a goroutine of its own, also those that will come. It has to
// be called when a drain begins: that ends the wait of a connection by its deadline, which
// only somebody who waits can meet.
func (l *Lot) Rouse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rousing = true
	for _, c := range l.parked {
		l.unwatch(c)
	}
}

// keep waits for the next byte of c. With nothing to read, or nobody to give it to, c is
// closed.
func (l *Lot) keep(c *Conn) {
	defer l.stays.Done()
	err := c.below.AwaitRead()
	l.mu.Lock()
	delete(l.parked, c.id)
	l.mu.Unlock()
	if err == nil {
		_ = c.Conn.SetReadDeadline(time.Time{}) // a new connection has none
		select {
		case l.back <- c:
			return
		case <-l.done:
		}
	}
	_ = c.Conn.Close()
}

// Close ends Returning, and every connection that is here.
func (l *Lot) Close() {
	l.shut()
	l.Rouse()
	for _, c := range l.all() {
		_ = c.Conn.Close() // keep meets it
	}
	l.stays.Wait()
	l.mu.Lock()
	if l.watch != nil {
		l.watch.close()
	}
	l.mu.Unlock()
	l.watching.Wait()
}

// shut is the end of Returning: nobody would take a connection back any more.
func (l *Lot) shut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.done)
	}
}

func (l *Lot) all() []*Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*Conn, 0, len(l.parked))
	for _, c := range l.parked {
		list = append(list, c)
	}
	return list
}

// Done is closed when Returning has ended.
func (l *Lot) Done() <-chan struct{} { return l.done }

// Returning gives the connections back to the server when their next request comes. They
// are no new ones: what counts or limits those stands in the way of the other listener. It
// ends with the server's Close, and not with the other listener: a drain goes on serving.
func (l *Lot) Returning() net.Listener { return returning{l} }

type returning struct{ lot *Lot }

func (r returning) Accept() (net.Conn, error) {
	select {
	case c := <-r.lot.back:
		return c, nil
	case <-r.lot.done:
		return nil, net.ErrClosed
	}
}

// Close does not wait: it is called with a lock of the server's.
func (r returning) Close() error {
	r.lot.shut()
	return nil
}

func (r returning) Addr() net.Addr { return &net.TCPAddr{} }
