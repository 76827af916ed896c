package master

import (
	"context"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

// A socket that a reload takes away leaves its number behind: a sum that is shown never
// goes back.
func TestOverflowsOutliveTheirSocket(t *testing.T) {
	s := tcp("127.0.0.1:0")
	s.Backlog = 1
	b, other := mustListen(t, s), mustListen(t, tcp("127.0.0.1:0"))
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	var clients sync.WaitGroup
	for range 4 { // the kernel keeps two of them waiting
		clients.Go(func() {
			if c, err := new(net.Dialer).DialContext(ctx, "tcp", b.Name); err == nil {
				<-ctx.Done()
				c.Close()
			}
		})
	}
	for b.Overflows() == 0 && ctx.Err() == nil {
		runtime.Gosched()
	}
	stop()
	clients.Wait()
	set := newSocketSet()
	set.counted = []*Bound{b, other}
	was := b.Overflows()
	if err := b.Close(false); err != nil {
		t.Fatal(err)
	}
	if now := b.Overflows(); was == 0 || now != was {
		t.Errorf("%d overflows, and %d when the socket is closed", was, now)
	}
	for range 2 {
		if sum, open := set.fold(); sum != was || len(open) != 1 || open[0] != other {
			t.Errorf("folded %d, want %d; still counted: %v", sum, was, open)
		}
	}
}
