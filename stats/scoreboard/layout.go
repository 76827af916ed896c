package scoreboard

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/seed17661985/ostler/stats"
)

// magic is "ostlersb" on a little-endian machine. Both sides run on the same machine, so
// the page is in its byte order.
const magic uint64 = 0x627372656c74736f

// LayoutVersion is part of the contract between a master and its workers: they share the
// page only if it is the same. It is raised by every change below, and by a change of the latency
// bounds. A counter that takes the place of padding is no such change: who does not know it
// leaves it at zero, or does not read it.
const LayoutVersion = 6

// maxSlots bounds what is mapped because of a number somebody else wrote.
const maxSlots = 1 << 16

const cacheLine = 64

// Room for the texts of a request, in words of eight bytes.
const (
	methodWords = 2  // longest registered method: UPDATEREDIRECTREF, cut
	pathWords   = 20 // 160 bytes
	peerWords   = 8  // an IPv6 address with zone and port
)

// header is written once, by Create.
type header struct {
	magic   uint64
	version uint32
	slots   uint32
	apps    uint32
	_       [cacheLine - 20]byte

	state     atomic.Uint32
	_         uint32
	heartbeat atomic.Int64 // UnixNano
	_         [cacheLine - 16]byte

	average  atomic.Uint64 // nanoseconds, moving
	upgrades atomic.Uint64 // connections that stopped being requests
	ended    atomic.Uint64 // of these
	_        [cacheLine - 24]byte

	waiting
	_ [(cacheLine - unsafe.Sizeof(waiting{})%cacheLine) % cacheLine]byte

	usage // a cache line as it is
}

// waiting is about requests that found no slot free.
type waiting struct {
	begun  atomic.Uint64
	waited atomic.Uint64 // nanoseconds, of those that are over
	over   [stats.NumBuckets]atomic.Uint64
}

// usage is written at every heartbeat; see Usage.
type usage struct {
	cpuUser, cpuSystem, gcCycles, gcPause, gcCPU atomic.Uint64
	goroutines, heap, maxFDs                     atomic.Uint64
}

// row is one slot. Every field has one writer, the worker process; the fields of the
// first half are added to by whoever touches the slot's connection, those of the second
// by the goroutine that holds the slot. Behind it stand the tallies of the apps.
type row struct {
	counters
	_ [(cacheLine - unsafe.Sizeof(counters{})%cacheLine) % cacheLine]byte // to the end of the cache line
	inflight
	_ [(cacheLine - unsafe.Sizeof(inflight{})%cacheLine) % cacheLine]byte
}

type counters struct {
	readErrors  atomic.Uint64
	writeErrors atomic.Uint64
	rx          atomic.Uint64
	tx          atomic.Uint64
	static      atomic.Uint64 // came when the version was in use already
}

// inflight is guarded by seq; see Slot.Begin.
type inflight struct {
	seq     atomic.Uint64
	id      atomic.Uint64
	start   atomic.Int64  // UnixNano
	lengths atomic.Uint64 // bytes of method | path << 16 | peer << 32
	method  [methodWords]atomic.Uint64
	path    [pathWords]atomic.Uint64
	peer    [peerWords]atomic.Uint64
}

const (
	headerSize = int(unsafe.Sizeof(header{}))
	rowSize    = int(unsafe.Sizeof(row{}))
)

// extent is what a page has room for.
type extent struct{ slots, apps int }

func (e extent) check() error {
	if e.slots < 1 || e.slots > maxSlots {
		return fmt.Errorf("%d slots, want 1 to %d", e.slots, maxSlots)
	}
	if e.apps < 0 || e.apps > maxApps {
		return fmt.Errorf("%d apps, want 0 to %d", e.apps, maxApps)
	}
	return nil
}

// stride is the distance from one slot to the next.
func (e extent) stride() int { return rowSize + talliesSize(e.apps) }

// rows is where the first slot begins.
func (e extent) rows() int { return headerSize + aboutSize(e.apps) }

func (e extent) size() int { return e.rows() + e.slots*e.stride() }
