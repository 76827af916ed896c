package control

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// every message there is; a new one is added here first.
func everyMessage() []Message {
	return []Message{
		Hello{Version: 1, PID: 4711, Build: "a<b&c"},
		Ready{},
		Failed{Stage: "build", Err: "panic: no database\n\ngoroutine 1 [running]:"},
		Retire{Reason: "SIGTERM"},
		Setup{
			Slot: 2, Generation: 3,
			Sockets: []Socket{{Name: "@abstract", Proto: "uwsgi"}, {Name: "[::1]:80", Proto: "http"}},
			Config:  json.RawMessage(`{"a":["<b>",1]}`),
			Mercy:   30 * time.Second, Linger: 150 * time.Millisecond,
		},
		Setup{},
		Drain{Timeout: time.Minute, Linger: time.Second},
		Reopen{},
		Gather{ID: 7, Timeout: 2 * time.Second},
		Share{Procs: 3, Memory: 1 << 40},
		Metrics{ID: 1<<64 - 1, More: true, Partial: true, Data: []byte("\x00{\xff")},
		Metrics{},
	}
}

func frame(k byte, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(1+len(body)))
	return append(append(b, k), body...)
}

// reading is a Conn that has received b and then the end.
func reading(b []byte) *Conn {
	return NewConn(received{Reader: bytes.NewReader(b)})
}

// received is a connection on which bytes have come.
type received struct {
	io.Reader
	net.Conn
}

func (r received) Read(p []byte) (int, error) { return r.Reader.Read(p) }

func pipe(t *testing.T) (a, b *Conn) {
	x, y := net.Pipe()
	t.Cleanup(func() { _, _ = x.Close(), y.Close() })
	return NewConn(x), NewConn(y)
}

func TestEveryMessageSurvivesTheWire(t *testing.T) {
	master, worker := pipe(t)
	var sending sync.WaitGroup
	sending.Go(func() {
		for _, m := range everyMessage() {
			if err := worker.Send(m); err != nil {
				t.Error(err)
			}
		}
	})
	for _, want := range everyMessage() {
		got, err := master.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("received %#v, want %#v", got, want)
		}
	}
	sending.Wait()
}

func TestTheBytesOnTheWire(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	var sent sync.WaitGroup
	sent.Go(func() {
		defer a.Close()
		if err := NewConn(a).Send(Failed{Stage: "s", Err: "<e>"}); err != nil {
			t.Error(err)
		}
	})
	got, err := io.ReadAll(b)
	sent.Wait()
	const want = "\x00\x00\x00\x1a\x03" + `{"Stage":"s","Err":"<e>"}` // 1 + 25 bytes
	if err != nil || string(got) != want {
		t.Errorf("wrote %q, %v, want %q", got, err, want)
	}
}

func TestUnknownKindsAreSkippedAndCounted(t *testing.T) {
	c := reading(bytes.Join([][]byte{frame(99, "whatever"), frame(0, ""), frame(2, "{}"), frame(200, "{")}, nil))
	if m, err := c.Recv(); m != (Ready{}) || err != nil {
		t.Fatalf("Recv = %#v, %v, want Ready", m, err)
	}
	if _, err := c.Recv(); err != io.EOF {
		t.Errorf("Recv at the end: %v, want io.EOF itself", err)
	}
	if got := c.Skipped(); got != 3 {
		t.Errorf("Skipped = %d, want 3", got)
	}
}

func TestANewerPeerMaySayMore(t *testing.T) {
	m, err := reading(frame(1, `{"Version":1,"PID":2,"Build":"x","Mood":"good"}`)).Recv()
	if want := (Hello{Version: 1, PID: 2, Build: "x"}); m != want || err != nil {
		t.Errorf("Recv = %#v, %v, want %#v", m, err, want)
	}
}

func TestMalformedFramesAreRefused(t *testing.T) {
	head := func(n uint32, rest string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, n), rest...)
	}
	for _, c := range []struct {
		name string
		in   []byte
		want string
	}{
		{"no kind", head(0, "\x02{}"), "without a kind"},
		{"one byte too long", head(MaxFrame+2, "\x02"), "a frame of 1048577 bytes, the limit is 1048576"},
		{"as long as can be said", head(1<<32-1, "\x02"), "the limit is 1048576"},
		{"an unknown kind too long", head(MaxFrame+2, "\xff"), "the limit is 1048576"},
		{"cut in the length", []byte{0, 0}, "unexpected EOF"},
		{"cut before the body", head(3, "\x02"), "unexpected EOF"},
		{"cut in the body", head(3, "\x02{"), "unexpected EOF"},
		{"not JSON", frame(2, "{"), "decode control.Ready"},
		{"empty", frame(2, ""), "decode control.Ready"},
		{"two values", frame(2, "{}{}"), "decode control.Ready"},
		{"metrics without a head", frame(5, "12345678"), "decode control.Metrics: 8 bytes"},
		{"wrong type", frame(66, `{"Timeout":"30s"}`), "decode control.Drain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := reading(c.in).Recv()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Recv = %#v, %v, want an error with %q", m, err, c.want)
			}
			if errors.Is(err, io.EOF) {
				t.Error("a malformed frame looks like an orderly end")
			}
		})
	}
}

func TestTheSizeLimitFromBothSides(t *testing.T) {
	fits := Setup{Config: json.RawMessage(`""`)}
	empty, err := encode(fits)
	if err != nil {
		t.Fatal(err)
	}
	fill := func(n int) Setup {
		return Setup{Config: json.RawMessage(`"` + strings.Repeat("x", n) + `"`)}
	}
	body, err := encode(fill(MaxFrame - len(empty)))
	if err != nil || len(body) != MaxFrame {
		t.Fatalf("the largest body: %d bytes, %v", len(body), err)
	}
	if _, err := reading(frame(byte(kindSetup), string(body))).Recv(); err != nil {
		t.Errorf("the largest body is refused: %v", err)
	}

	master, _ := pipe(t)
	if err := master.Send(fill(MaxFrame - len(empty) + 1)); err == nil || !strings.Contains(err.Error(), "the limit is") {
		t.Errorf("one byte more: %v", err)
	}
}

func TestAnEndlessPanicStillArrives(t *testing.T) {
	for _, unit := range []string{"x", "\x00", "é", "\xff", `"`} {
		text := strings.Repeat(unit, 2*MaxFrame)
		body, err := encode(Failed{Stage: text, Err: text})
		if err != nil {
			t.Fatalf("%q: %v", unit, err)
		}
		m, _, err := decode(kindFailed, body)
		got, _ := m.(Failed)
		if err != nil || !strings.HasSuffix(got.Err, " ... (cut)") || !utf8.ValidString(got.Err) {
			t.Errorf("%q: %v, ends with %q", unit, err, got.Err[max(0, len(got.Err)-20):])
		}
	}
}

func TestAStoppedPeerCannotHoldTheSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		master, worker := pipe(t)
		start := time.Now()
		err := master.Send(Reopen{})
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != sendTimeout {
			t.Fatalf("Send: %v after %v", err, time.Since(start))
		}
		// Half a frame may be on its way; nothing may follow it.
		var reading sync.WaitGroup
		reading.Go(func() {
			if m, err := worker.Recv(); err == nil {
				t.Errorf("received %#v after a broken frame", m)
			}
		})
		start = time.Now()
		if err := master.Send(Drain{}); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 0 {
			t.Errorf("the next Send: %v after %v", err, time.Since(start))
		}
		if err := master.Close(); err != nil {
			t.Error(err)
		}
		reading.Wait()
	})
}

func TestConcurrentSendsDoNotMix(t *testing.T) {
	master, worker := pipe(t)
	const senders, each = 8, 50
	var sending sync.WaitGroup
	for i := range senders {
		sending.Go(func() {
			for j := range each {
				if err := worker.Send(Retire{Reason: fmt.Sprint(i, j, strings.Repeat("x", j))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[Message]bool{}
	for range senders * each {
		m, err := master.Recv()
		if err != nil {
			t.Fatal(err)
		}
		seen[m] = true
	}
	sending.Wait()
	if len(seen) != senders*each {
		t.Errorf("%d different messages arrived, want %d", len(seen), senders*each)
	}
}

func TestCloseWakesABlockedRecv(t *testing.T) {
	master, end, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	var reading sync.WaitGroup
	reading.Go(func() {
		if _, err := master.Recv(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Recv: %v, want net.ErrClosed", err)
		}
	})
	if err := master.Close(); err != nil {
		t.Error(err)
	}
	reading.Wait()
}

func TestTheDocumentNamesEveryKind(t *testing.T) {
	doc, err := os.ReadFile("../../docs/control.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range everyMessage() {
		typ := reflect.TypeOf(m)
		row := fmt.Sprintf("| %d | %s |", m.kind(), typ.Name())
		if !bytes.Contains(doc, []byte(row)) {
			t.Errorf("docs/control.md has no row %q", row)
		}
		for i := range typ.NumField() {
			if name := typ.Field(i).Name; !bytes.Contains(doc, []byte(`"`+name+`"`)) {
				t.Errorf("docs/control.md does not name %s.%s", typ.Name(), name)
			}
		}
	}
}

// A conversation that is interrupted, wherever that may be, goes on with the same words, here
// or in the program that adopts its descriptor.
func TestAConversationIsInterruptedAndAdopted(t *testing.T) {
	master, end, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end.Close() })
	sent := []Message{
		Hello{Version: Version, PID: 7, Build: "b"},
		Failed{Stage: "build", Err: strings.Repeat("words ", 9000)},
		Metrics{ID: 3, Data: bytes.Repeat([]byte{1}, 100_000)},
		Retire{Reason: "tired"},
	}
	var stream []byte
	for _, m := range sent {
		body, err := encode(m)
		if err != nil {
			t.Fatal(err)
		}
		stream = append(stream, frame(byte(m.kind()), string(body))...)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for len(sent) > 0 {
		if err := master.Interrupt(); err != nil {
			t.Fatal(err)
		}
		if m, err := master.Recv(); err != ErrInterrupted {
			t.Fatalf("interrupted with nothing whole to read it receives %v, %v", m, err)
		}
		switch r.IntN(3) {
		case 0:
			master = adopt(t, master)
		default:
			if err := master.Resume(); err != nil {
				t.Fatal(err)
			}
		}
		n := min(1+r.IntN(20_000), len(stream))
		if _, err := end.Write(stream[:n]); err != nil {
			t.Fatal(err)
		}
		stream = stream[n:]
		sent = sent[hears(t, master, sent):]
	}
	_ = master.Close()
}

// hears takes what has come whole and says how many it was.
func hears(t *testing.T, c *Conn, want []Message) (n int) {
	t.Helper()
	if err := c.Interrupt(); err != nil {
		t.Fatal(err)
	}
	// The deadline is over, so this reads what there is only if the kernel is asked first.
	if err := c.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := c.Recv()
		if err == ErrInterrupted {
			return n
		}
		if err != nil || n >= len(want) || !reflect.DeepEqual(m, want[n]) {
			t.Fatalf("message %d is %v, %v", n, m, err)
		}
		n++
	}
}

// adopt goes on with a conversation as another program would.
func adopt(t *testing.T, c *Conn) *Conn {
	t.Helper()
	fd := -1
	if err := c.FD(func(n int) { fd, _ = unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, FirstSocketFD) }); err != nil {
		t.Fatal(err)
	}
	rest := c.Rest()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	next, err := Adopt(fd, rest)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestAnAnswerIsPutTogetherAcrossPrograms(t *testing.T) {
	parts := []Metrics{{ID: 1, More: true, Data: []byte("a")}, {ID: 1, More: true, Data: []byte("b")}, {ID: 1, Data: []byte("c")}}
	var all Assembly
	for _, part := range parts[:2] {
		if _, done, err := all.Add(part); done || err != nil {
			t.Fatal(done, err)
		}
	}
	var next Assembly
	next.Resume(all.State())
	if whole, done, err := next.Add(parts[2]); !done || err != nil || string(whole.Data) != "abc" {
		t.Errorf("the answer is %q, %v, %v", whole.Data, done, err)
	}
	if s := next.State(); s != nil {
		t.Errorf("with nothing open its state is %+v", s)
	}
}
