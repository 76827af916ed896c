package scoreboard

import (
	"encoding/binary"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/seed17661985/ostler/stats"
)

// Slot is one request slot's part of the page. Begin and End belong to whoever holds the
// slot, one goroutine at a time; the rest may be called from anywhere.
type Slot struct {
	page    *Page // keeps the mapping
	row     *row
	tallies []tally // of the apps and of nobody, behind the row
}

// The sequence counts four phases for each request; the low two bits tell which. The
// phases make End one store, where a plain sequence lock would have to clear the texts.
const (
	phaseIdle    = 0
	phaseWriting = 1 // the texts are changing
	phaseActive  = 2
	phaseMask    = 3
)

// readTries bounds a reader. A writer that was killed or stopped while it wrote leaves
// its slot in phaseWriting for ever.
const readTries = 100

// Begin shows a request as running in this slot. The query string, from the first '?',
// is cut off, as is everything beyond the room there is.
func (s *Slot) Begin(id uint64, start time.Time, method, path, peer string) {
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	method = method[:min(len(method), methodWords*8)]
	path = path[:min(len(path), pathWords*8)]
	peer = peer[:min(len(peer), peerWords*8)]

	f := &s.row.inflight
	base := (f.seq.Load() + phaseMask) &^ phaseMask // the next idle number, also after a crash of our own caller
	f.seq.Store(base + phaseWriting)
	f.id.Store(id)
	f.start.Store(start.UnixNano())
	f.lengths.Store(uint64(len(method)) | uint64(len(path))<<16 | uint64(len(peer))<<32)
	putText(f.method[:], method)
	putText(f.path[:], path)
	putText(f.peer[:], peer)
	f.seq.Store(base + phaseActive)
	runtime.KeepAlive(s.page)
}

// End counts the request for an app, or for NoApp, and shows the slot as idle. A status of
// 0 is an answer that was never begun.
func (s *Slot) End(app, status int, took time.Duration) {
	took = max(took, 0) // the clock may have been a wall clock
	average(&s.page.head.average, took)
	s.end(app, status, took)
}

// EndStatic is End of a request that was answered with a file. The average is about what the
// applications do.
func (s *Slot) EndStatic(app, status int, took time.Duration) {
	s.add(&s.row.static, 1)
	s.end(app, status, max(took, 0))
}

func (s *Slot) end(app, status int, took time.Duration) {
	s.tally(app).add(status, took)
	f := &s.row.inflight
	f.seq.Store((f.seq.Load() + phaseMask) &^ phaseMask)
	runtime.KeepAlive(s.page)
}

// InUse reports whether the slot is between Begin and End.
func (s *Slot) InUse() bool {
	seq := s.row.inflight.seq.Load()
	runtime.KeepAlive(s.page)
	return seq&phaseMask != phaseIdle
}

// AddRx counts bytes received; a failed read's negative count is nothing.
func (s *Slot) AddRx(n int64) { s.add(&s.row.rx, n) }

// AddTx counts bytes sent, heads included.
func (s *Slot) AddTx(n int64) { s.add(&s.row.tx, n) }

// AddException counts a handler of an app that panicked.
func (s *Slot) AddException(app int) { s.add(&s.tally(app).exceptions, 1) }

// AddReadError counts a request whose body could not be read to its end.
func (s *Slot) AddReadError() { s.add(&s.row.readErrors, 1) }

// AddWriteError counts an answer that could not be written to its end.
func (s *Slot) AddWriteError() { s.add(&s.row.writeErrors, 1) }

func (s *Slot) add(word *atomic.Uint64, n int64) {
	if n > 0 {
		word.Add(uint64(n))
	}
	runtime.KeepAlive(s.page)
}

// counters are those of the slot alone; apps gets what it has done for each app.
func (s *Slot) counters(apps []stats.AppCounters) stats.CoreCounters {
	c := &s.row.counters
	n := stats.CoreCounters{
		ReadErrors:  c.readErrors.Load(),
		WriteErrors: c.writeErrors.Load(),
		Rx:          c.rx.Load(),
		Tx:          c.tx.Load(),
		Static:      c.static.Load(),
	}
	for app := range s.tallies {
		s.tallies[app].addTo(&apps[app], &n)
	}
	runtime.KeepAlive(s.page)
	return n
}

// inFlight gives the running request, unless there is none or it cannot be read whole.
func (s *Slot) inFlight() (r stats.InFlight, ok bool) {
	f := &s.row.inflight
	for range readTries {
		seq := f.seq.Load()
		if seq&phaseMask == phaseIdle {
			break
		}
		if seq&phaseMask != phaseActive {
			continue
		}
		r = f.read()
		if f.seq.Load() == seq {
			ok = true
			break
		}
	}
	runtime.KeepAlive(s.page)
	return r, ok
}

// read may see a mixture; the caller compares the sequence before and after.
func (f *inflight) read() stats.InFlight {
	n := f.lengths.Load()
	return stats.InFlight{
		ID:     f.id.Load(),
		Start:  time.Unix(0, f.start.Load()),
		Method: getText(f.method[:], uint16(n)),
		Path:   getText(f.path[:], uint16(n>>16)),
		Peer:   getText(f.peer[:], uint16(n>>32)),
	}
}

// putText stores only the words that s needs: on most machines an atomic store costs as
// much as a dozen plain ones. len(s) fits.
func putText(words []atomic.Uint64, s string) {
	b := unsafe.Slice(unsafe.StringData(s), len(s)) // only read
	i := 0
	for ; len(b) >= 8; i++ {
		words[i].Store(binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	if len(b) > 0 {
		var last [8]byte
		copy(last[:], b)
		words[i].Store(binary.LittleEndian.Uint64(last[:]))
	}
}

// getText does not trust n: the application's process can write anything anywhere.
func getText(words []atomic.Uint64, n uint16) string {
	buf := make([]byte, 0, len(words)*8)
	n = min(n, uint16(cap(buf)))
	for i := 0; len(buf) < int(n); i++ {
		buf = binary.LittleEndian.AppendUint64(buf, words[i].Load())
	}
	return string(buf[:n])
}
