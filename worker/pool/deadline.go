package pool

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// readDeadline is when the reads of a connection are to end.
//
// net/http moves it seven times for each request, and hardly any is ever met. So the
// socket's own deadline is only brought forward. A reader that meets it looks what is
// wanted meanwhile, sets the socket's to that, and reads on: once in a while instead of
// seven times.
//
// Invariant: while a read is under way, the socket's deadline is not behind the wanted one.
type readDeadline struct {
	wanted  atomic.Int64 // by whoever serves the connection, see Pool.instant
	reading atomic.Bool  // an interruption has somebody to interrupt

	mu    sync.Mutex   // held while the socket's is set
	armed atomic.Int64 // the socket's
}

// never is the instant of no deadline. Instants before it were past when the pool began.
const never = int64(0)

// instant counts nanoseconds since the epoch of the pool, by the monotonic clock.
func (p *Pool) instant(t time.Time) int64 {
	if t.IsZero() {
		return never
	}
	if i := int64(t.Sub(p.epoch)); i != never {
		return i
	}
	return 1
}

func (p *Pool) time(instant int64) time.Time {
	if instant == never {
		return time.Time{}
	}
	return p.epoch.Add(time.Duration(instant))
}

// lazy reports whether all reads come through Read and AwaitRead, who know that a deadline
// of the socket need not be meant. A protocol that is not kept alive has few deadlines,
// and who hijacks a connection may read it as he likes.
func (c *conn) lazy() bool { return c.kept && !c.hijacked.Load() }

// SetReadDeadline is the server's wish. It does not undo expire: the server sets the
// deadline of its next wait after it said that the connection is idle.
func (c *conn) SetReadDeadline(t time.Time) error {
	d := &c.deadline
	wanted := c.pool.instant(t)
	d.wanted.Store(wanted)
	if !c.lazy() {
		return c.arm(wanted, true)
	}
	if wanted < never && !d.reading.Load() {
		return nil // the next read looks before it begins
	}
	if sooner(wanted, d.armed.Load()) {
		return c.arm(wanted, false)
	}
	return nil
}

// sooner reports whether one deadline comes before another.
func sooner(wanted, than int64) bool {
	return wanted != never && (than == never || wanted < than)
}

// arm sets the socket's deadline, to a later one only if that is meant.
func (c *conn) arm(instant int64, later bool) error {
	d := &c.deadline
	d.mu.Lock()
	defer d.mu.Unlock()
	if !later && !sooner(instant, d.armed.Load()) {
		return nil
	}
	d.armed.Store(instant)
	return c.Conn.SetReadDeadline(c.pool.time(instant))
}

// expire asks the reader to stop waiting, if it waits.
func (c *conn) expire() {
	c.expired.Store(true) // before the deadline: goOn looks for it when it may undo that
	_ = c.arm(c.pool.instant(longAgo), true)
}

// goOn judges a read that met the socket's deadline: is it to be tried again? If not, it
// ended for the server's deadline or, if leave, because the drain is done with waiting.
//
// Only the reader itself may decide that a connection is idle: whoever else looked would
// find nothing in the moment between the kernel's buffer and the server's.
func (c *conn) goOn(err error) (again, leave bool) {
	if !errors.Is(err, os.ErrDeadlineExceeded) || !c.lazy() {
		return false, false
	}
	if c.expired.Load() {
		if c.quiet.Load() {
			return false, true
		}
		c.expired.Store(false) // it went to work while it was being expired
	}
	return c.rearm(), false
}

// rearm sets the socket's deadline to the wanted one, unless that is over.
func (c *conn) rearm() bool {
	d := &c.deadline
	d.mu.Lock()
	defer d.mu.Unlock()
	for !c.expired.Load() {
		wanted := d.wanted.Load()
		if wanted != never && wanted <= int64(time.Since(c.pool.epoch)) {
			return false
		}
		d.armed.Store(wanted)
		_ = c.Conn.SetReadDeadline(c.pool.time(wanted))
		if d.wanted.Load() == wanted {
			break // whoever moves it now sees what is armed
		}
	}
	return true
}

// read reads from the socket, once.
func (c *conn) read(b []byte) (int, error) {
	if !c.kept {
		return c.Conn.Read(b)
	}
	d := &c.deadline
	d.reading.Store(true)
	defer d.reading.Store(false)
	if d.wanted.Load() < never {
		return 0, os.ErrDeadlineExceeded
	}
	return c.Conn.Read(b)
}
