package scoreboard

import (
	"fmt"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed17661985/ostler/stats"
)

// Page is a mapping of the shared memory. All methods may be called from any goroutine,
// in either process.
//
// There is no Close: the master's readers may hold a page long after its process was
// folded away, and a read of unmapped memory is fatal. The mapping goes when the last
// reference to the Page or one of its Slots does.
type Page struct {
	head  *header // into the mapping, as is Slot.row
	apps  []about // likewise; the last is nobody's
	slots []Slot
}

// Create makes the page of a worker with so many slots and apps. The file is for the
// launcher, which passes it on as a plain descriptor; the caller closes it after the
// launch.
func Create(slots, apps int) (*Page, *os.File, error) {
	e := extent{slots, apps}
	if err := e.check(); err != nil {
		return nil, nil, fmt.Errorf("create the scoreboard: %w", err)
	}
	f, err := sharedMemory(int64(e.size()))
	if err != nil {
		return nil, nil, fmt.Errorf("create the scoreboard: %w", err)
	}
	p, err := mapPage(f, e)
	if err != nil {
		_ = f.Close()
		return nil, nil, fmt.Errorf("create the scoreboard: %w", err)
	}
	p.head.version, p.head.slots, p.head.apps = LayoutVersion, uint32(slots), uint32(apps)
	p.head.magic = magic
	return p, f, nil
}

// Open maps the page that f refers to, after checking that it is one and that it is as
// long as its numbers of slots and apps demand. It closes f in any case.
func Open(f *os.File) (*Page, error) {
	defer f.Close()
	return View(f)
}

// View is Open without the closing.
func View(f *os.File) (*Page, error) {
	e, err := inspect(f)
	if err != nil {
		return nil, fmt.Errorf("open the scoreboard: %w", err)
	}
	p, err := mapPage(f, e)
	if err != nil {
		return nil, fmt.Errorf("open the scoreboard: %w", err)
	}
	return p, nil
}

// inspect reads the header from the file, not from memory: a mapping of a file that is
// too short would kill the process at the first access beyond its end.
func inspect(f *os.File) (extent, error) {
	var h header
	buf := unsafe.Slice((*byte)(unsafe.Pointer(&h)), headerSize)
	if _, err := f.ReadAt(buf, 0); err != nil {
		return extent{}, fmt.Errorf("read its header: %w", err)
	}
	if h.magic != magic {
		return extent{}, fmt.Errorf("it begins with %#x, not with %#x", h.magic, magic)
	}
	if h.version != LayoutVersion {
		return extent{}, fmt.Errorf("its layout is version %d, this program knows version %d", h.version, LayoutVersion)
	}
	e := extent{int(h.slots), int(h.apps)}
	if err := e.check(); err != nil {
		return extent{}, err
	}
	st, err := f.Stat()
	if err != nil {
		return extent{}, err
	}
	if want := int64(e.size()); st.Size() != want {
		return extent{}, fmt.Errorf("it has %d bytes, %d slots and %d apps need %d", st.Size(), e.slots, e.apps, want)
	}
	return e, nil
}

func mapPage(f *os.File, e extent) (*Page, error) {
	mem, err := unix.Mmap(int(f.Fd()), 0, e.size(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", e.size(), err)
	}
	at := func(offset int) unsafe.Pointer { return unsafe.Pointer(&mem[offset]) }
	p := &Page{head: (*header)(at(0)), slots: make([]Slot, e.slots)}
	p.apps = unsafe.Slice((*about)(at(headerSize)), e.apps+1)
	for i := range p.slots {
		place := e.rows() + i*e.stride()
		p.slots[i] = Slot{page: p, row: (*row)(at(place)), tallies: unsafe.Slice((*tally)(at(place+rowSize)), e.apps+1)}
	}
	runtime.AddCleanup(p, func(mem []byte) { _ = unix.Munmap(mem) }, mem)
	return p, nil
}

func (p *Page) extent() extent { return extent{len(p.slots), p.Apps()} }

// Slots is the number of slots.
func (p *Page) Slots() int { return len(p.slots) }

// Slot gives slot i, from 0. It keeps the page alive.
func (p *Page) Slot(i int) *Slot { return &p.slots[i] }

// InFlight lists the requests being handled, in the order of their slots. A slot that is
// just changing hands is left out.
func (p *Page) InFlight() []stats.InFlight {
	var list []stats.InFlight
	for i := range p.slots {
		if r, ok := p.slots[i].inFlight(); ok {
			r.Slot = i
			list = append(list, r)
		}
	}
	return list
}

// SetState publishes the worker's own view of its life, whatever the number means to it.
func (p *Page) SetState(s uint32) {
	p.head.state.Store(s)
	runtime.KeepAlive(p)
}

// State is 0 until SetState.
func (p *Page) State() uint32 {
	s := p.head.state.Load()
	runtime.KeepAlive(p)
	return s
}

// Beat says that the worker was alive at now.
func (p *Page) Beat(now time.Time) {
	p.head.heartbeat.Store(now.UnixNano())
	runtime.KeepAlive(p)
}

// Heartbeat is the time of the last Beat, or the zero Time.
func (p *Page) Heartbeat() time.Time {
	ns := p.head.heartbeat.Load()
	runtime.KeepAlive(p)
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
