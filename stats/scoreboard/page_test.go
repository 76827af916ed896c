package scoreboard

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed17661985/ostler/stats"
)

func TestNoTwoSlotsShareACacheLine(t *testing.T) {
	var h header
	var r row
	for name, n := range map[string]uintptr{
		"header": unsafe.Sizeof(h), "state": unsafe.Offsetof(h.state), "sums": unsafe.Offsetof(h.average),
		"waits": unsafe.Offsetof(h.waiting), "usage": unsafe.Offsetof(h.usage),
		"row": unsafe.Sizeof(r), "in flight": unsafe.Offsetof(r.inflight),
	} {
		if n%cacheLine != 0 {
			t.Errorf("%s is at or of %d bytes, not whole cache lines", name, n)
		}
	}
	p := newPage(t, 3)
	for i := range p.slots {
		at := uintptr(unsafe.Pointer(p.slots[i].row)) - uintptr(unsafe.Pointer(p.head))
		if want := uintptr(p.extent().rows() + i*p.extent().stride()); at != want {
			t.Errorf("slot %d is at +%d, want +%d", i, at, want)
		}
	}
}

// The layout is read by another build of this program for as long as a reload lasts.
func TestAnotherLayoutIsAnotherVersion(t *testing.T) {
	if LayoutVersion != 6 || headerSize != 448 || rowSize != 384 || aboutSize(1) != 192 || talliesSize(0) != 960 {
		t.Errorf("version %d with a header of %d, rows of %d, and %d and %d for apps: raise LayoutVersion and correct this test",
			LayoutVersion, headerSize, rowSize, aboutSize(1), talliesSize(0))
	}
}

// A connection that ends is not taken from those there have been.
func TestUpgradedConnectionsAreCounted(t *testing.T) {
	p := newPage(t, 1)
	for range 3 {
		p.BeginUpgrade()
	}
	p.EndUpgrade()
	if open, total := p.Upgraded(), p.Totals().Upgrades; open != 2 || total != 3 {
		t.Errorf("%d open of %d, want 2 of 3", open, total)
	}
}

func TestBothSidesSeeOnePage(t *testing.T) {
	master, f, err := Create(5, 0)
	if err != nil {
		t.Fatal(err)
	}
	worker, err := Open(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Open left its file open: %v", err)
	}
	if worker.Slots() != 5 || master.Slots() != 5 {
		t.Errorf("slots: %d and %d, want 5", worker.Slots(), master.Slots())
	}
	if !master.Heartbeat().IsZero() || master.State() != 0 || len(master.InFlight()) != 0 || master.Totals().Requests != 0 {
		t.Error("a new page is not empty")
	}
	now := time.Unix(1700000000, 123)
	worker.SetState(3)
	worker.Beat(now)
	worker.AddReject(NoApp, stats.RejectQueueTimeout)
	begin(worker.Slot(4), 9)
	if master.State() != 3 || !master.Heartbeat().Equal(now) || master.Totals().Rejects.Total() != 1 {
		t.Errorf("state %d, heartbeat %v, rejected %d", master.State(), master.Heartbeat(), master.Totals().Rejects.Total())
	}
	if list := master.InFlight(); len(list) != 1 || list[0].Slot != 4 || !master.Slot(4).InUse() || master.Slot(3).InUse() {
		t.Errorf("in flight: %+v", list)
	}
	worker.Slot(4).End(NoApp, 200, time.Millisecond)
	if len(master.InFlight()) != 0 || master.Slot(4).InUse() || master.Cores()[4].Requests != 1 {
		t.Error("the end of the request does not show")
	}
}

func TestSlotsHaveBounds(t *testing.T) {
	for _, n := range []int{0, -1, maxSlots + 1} {
		if _, _, err := Create(n, 0); err == nil || !strings.Contains(err.Error(), "want 1 to 65536") {
			t.Errorf("Create(%d): %v", n, err)
		}
	}
	if p := newPage(t, maxSlots); p.Slots() != maxSlots {
		t.Errorf("the largest page has %d slots", p.Slots())
	}
}

// image is what Create writes for so many slots, changed by edit, with extra bytes more.
func image(slots uint32, extra int, edit func(*header)) []byte {
	var h header
	h.magic, h.version, h.slots = magic, LayoutVersion, slots
	if edit != nil {
		edit(&h)
	}
	head := unsafe.Slice((*byte)(unsafe.Pointer(&h)), headerSize)
	size := extent{slots: int(min(slots, 10))}.size() - headerSize
	return append(bytes.Clone(head), make([]byte, max(0, size+extra))...)
}

func fileOf(t testing.TB, content []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "page")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestOpenRefusesWhatIsNoPage(t *testing.T) {
	for _, c := range []struct {
		name    string
		content []byte
		want    string // "" is accepted
	}{
		{"a page", image(2, 0, nil), ""},
		{"nothing", nil, "read its header: EOF"},
		{"half a header", image(2, 0, nil)[:100], "read its header: EOF"},
		{"something else", bytes.Repeat([]byte("#!/bin/sh\n"), 200), "it begins with 0x"},
		{"an unfinished page", make([]byte, extent{slots: 1}.size()), "it begins with 0x0"},
		{"another layout", image(2, 0, func(h *header) { h.version++ }), "its layout is version 7, this program knows version 6"},
		{"no slots", image(0, 0, nil), "0 slots"},
		{"too many slots", image(1<<31, 0, nil), "2147483648 slots, want 1 to 65536"},
		{"too many apps", image(2, 0, func(h *header) { h.apps = 1 << 30 }), "1073741824 apps, want 0 to 1024"},
		{"no room for its apps", image(2, 0, func(h *header) { h.apps = 1 }), "it has 3264 bytes, 2 slots and 1 apps need 5120"},
		{"one byte short", image(2, -1, nil), "it has 3263 bytes, 2 slots and 0 apps need 3264"},
		{"one byte long", image(2, 1, nil), "it has 3265 bytes, 2 slots and 0 apps need 3264"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fileOf(t, c.content)
			p, err := Open(f)
			switch {
			case c.want == "" && (err != nil || p.Slots() != 2):
				t.Errorf("Open: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("Open: %v, want %q", err, c.want)
			}
			if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("Open left its file open: %v", err)
			}
		})
	}
}

func TestAWorkerCannotShrinkThePage(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has seals")
	}
	_, f, err := Create(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int64{0, 1 << 20} {
		if err := f.Truncate(size); !errors.Is(err, syscall.EPERM) {
			t.Errorf("Truncate(%d): %v, want EPERM", size, err)
		}
	}
}

func TestThePagePassesExecAsAPlainDescriptor(t *testing.T) {
	_, f, err := Create(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v: every program the master starts would inherit the page", flags, err)
	}
}

func TestTheFallbackWithoutMemfd(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	f, err := temporaryFile()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(int64(extent{3, 0}.size())); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) != 0 {
		t.Errorf("the file still has a name: %v, %v", left, err)
	}
	p, err := mapPage(f, extent{3, 0})
	if err != nil {
		t.Fatal(err)
	}
	p.head.magic, p.head.version, p.head.slots = magic, LayoutVersion, 3
	q, err := Open(f)
	if err != nil {
		t.Fatal(err)
	}
	p.SetState(8)
	if q.State() != 8 {
		t.Error("the two mappings are not of one page")
	}
}

// mappings counts the scoreboards this process has mapped.
func mappings(t *testing.T) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(maps), "memfd:ostler-scoreboard")
}

func TestTheMappingLivesAsLongAsItsReaders(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc/self/maps")
	}
	collected := func() bool { runtime.GC(); return mappings(t) == 0 }
	until(t, "the pages of earlier tests go", collected)

	slot := newPage(t, 100).Slot(99) // the Page itself is garbage from here on
	for range 5 {
		runtime.GC()
	}
	begin(slot, 5)
	if r, ok := slot.inFlight(); !ok || r.ID != 5 || mappings(t) != 1 {
		t.Errorf("a slot lost its page: %+v, %v, %d mappings", r, ok, mappings(t))
	}
	runtime.KeepAlive(slot)
	until(t, "the page goes with its last slot", collected)
}

// FuzzOpen: whatever the file contains, Open refuses it or gives a page that can be read.
func FuzzOpen(f *testing.F) {
	f.Add(image(2, 0, nil))
	f.Add(image(1, 0, func(h *header) { h.state.Store(9) }))
	f.Add(image(1<<31, 0, nil))
	f.Add(image(1, extent{1, 3}.size()-extent{1, 0}.size(), func(h *header) { h.apps = 3 }))
	f.Add([]byte("ostlersb"))
	f.Fuzz(func(t *testing.T, content []byte) {
		p, err := Open(fileOf(t, content))
		if err != nil {
			return
		}
		if want := (extent{p.Slots(), p.Apps()}).size(); want != len(content) {
			t.Fatalf("%d bytes were taken for a page of %d", len(content), want)
		}
		readAll(p)
	})
}

// FuzzRead: an application that writes over its page harms nobody but its own numbers.
func FuzzRead(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0xff}, rowSize))
	f.Add(bytes.Repeat([]byte{2}, rowSize))
	f.Add(make([]byte, 10))
	f.Fuzz(func(t *testing.T, content []byte) {
		p := newPage(t, 1)
		copy(unsafe.Slice((*byte)(unsafe.Pointer(p.Slot(0).row)), rowSize), content)
		copy(unsafe.Slice((*byte)(unsafe.Pointer(p.head)), headerSize), content)
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&p.Slot(0).tallies[0])), talliesSize(0)), content)
		if p.Slots() != 1 {
			t.Fatal("the number of slots is read from the page")
		}
		readAll(p)
		for _, r := range p.InFlight() {
			if len(r.Method) > methodWords*8 || len(r.Path) > pathWords*8 || len(r.Peer) > peerWords*8 {
				t.Fatalf("%+v has more text than there is room", r)
			}
		}
		runtime.KeepAlive(p)
	})
}

func readAll(p *Page) {
	p.Numbers()
	p.InFlight()
	p.State()
	p.Heartbeat()
	p.AvgTime()
	p.Waiting()
	p.Upgraded()
	p.Usage()
	for i := range p.Apps() {
		p.Startup(i)
	}
}
