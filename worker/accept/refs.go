package accept

import "sync/atomic"

// refs keeps a descriptor from being closed while somebody uses its number: the kernel
// gives the number to the next file at once, and a late read would take that file's bytes.
type refs struct {
	state atomic.Int64 // users<<1 | closed
}

// acquire makes the caller a user. It reports false when it is too late.
func (r *refs) acquire() bool {
	for {
		now := r.state.Load()
		if now&1 != 0 {
			return false
		}
		if r.state.CompareAndSwap(now, now+2) {
			return true
		}
	}
}

// release ends what acquire began. It reports that the caller has to free what was closed
// meanwhile.
func (r *refs) release() (free bool) { return r.state.Add(-2) == 1 }

// close lets nobody in any more. It reports whether it is the first, and that the caller
// has to free, because there is no user who will.
func (r *refs) close() (first, free bool) {
	was := r.state.Or(1)
	return was&1 == 0, was == 0
}

func (r *refs) closed() bool { return r.state.Load()&1 != 0 }
