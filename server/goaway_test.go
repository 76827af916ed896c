package server

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// sink is a connection whose writes stop where the test wants them to.
type sink struct {
	net.Conn
	written bytes.Buffer
	pause   chan struct{} // a write waits for it if it is not nil
}

func (s *sink) Write(b []byte) (int, error) {
	if s.pause != nil {
		s.pause <- struct{}{} // begun
		<-s.pause
	}
	return s.written.Write(b)
}

// frame is a frame with a payload of n bytes.
func frame(kind byte, n int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(n)<<8|uint32(kind))
	return append(b, make([]byte, 5+n)...)
}

// kinds lists the frames in b, and fails if b does not end with one.
func kinds(t *testing.T, b []byte) (all []byte) {
	t.Helper()
	for len(b) > 0 {
		if len(b) < 9 {
			t.Fatalf("% x is left at the end", b)
		}
		n := int(binary.BigEndian.Uint32(b)>>8) + 9
		if len(b) < n {
			t.Fatalf("frame of %d bytes, %d are left", n, len(b))
		}
		all = append(all, b[3])
		b = b[n:]
	}
	return all
}

// Whatever pieces the frames are written in, and whenever the goodbye comes: it goes out
// once, between two of them, and not before the settings.
func TestTheGoodbyeNeverCutsAFrame(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		wire := frame(4, r.IntN(40))
		for range r.IntN(20) {
			wire = append(wire, frame(byte(r.IntN(4)), []int{0, 1, 8, 300, 70_000}[r.IntN(5)])...)
		}
		out := &sink{}
		c := &goAwayConn{Conn: out}
		when := r.IntN(len(wire))
		said := false
		for rest := wire; len(rest) > 0; {
			if !said && len(wire)-len(rest) >= when {
				said = true
				c.goAway()
			}
			n := min(len(rest), 1+r.IntN(1<<r.IntN(17)))
			if m, err := c.Write(rest[:n]); m != n || err != nil {
				t.Fatal(m, err)
			}
			rest = rest[n:]
		}
		if !said {
			c.goAway()
		}
		all := kinds(t, out.written.Bytes())
		if bytes.Count(all, []byte{7}) != 1 || all[0] != 4 {
			t.Fatalf("seed %d: frames %v", seed, all)
		}
		if !bytes.Equal(bytes.Replace(out.written.Bytes(), []byte(goAwayFrame), nil, 1), wire) {
			t.Fatalf("seed %d: the frames around it changed", seed)
		}
	}
}

// A client that does not read must not hold up the goodbye to the others: the write that
// waits for it sends the frame when it is through.
func TestTheGoodbyeDoesNotWaitForAWrite(t *testing.T) {
	out := &sink{pause: make(chan struct{})}
	c := &goAwayConn{Conn: out}
	var writing sync.WaitGroup
	writing.Go(func() { _, _ = c.Write(frame(4, 6)) })
	<-out.pause // in the write
	c.goAway()  // comes back
	out.pause <- struct{}{}
	<-out.pause // in the write of the goodbye
	out.pause <- struct{}{}
	writing.Wait()
	if all := kinds(t, out.written.Bytes()); !bytes.Equal(all, []byte{4, 7}) {
		t.Errorf("frames %v", all)
	}
}

func TestTheGoodbyeIsWellFormed(t *testing.T) {
	if all := kinds(t, []byte(goAwayFrame)); !bytes.Equal(all, []byte{7}) {
		t.Errorf("% x", goAwayFrame)
	}
	if last := binary.BigEndian.Uint32([]byte(goAwayFrame)[9:]); last != 1<<31-1 {
		t.Errorf("last stream %d", last)
	}
}
