package stats

import (
	"fmt"
	"iter"
	"net/http"
)

// Reject is why a request did not get as far as it wanted.
type Reject uint8

const (
	// RejectQueueTimeout: no slot came free in time; answered 503.
	RejectQueueTimeout Reject = iota + 1
	// RejectClientGone: the client went away while it waited for a slot.
	RejectClientGone
	// RejectMalformed: what came is not a request that may be served, or its framing broke.
	RejectMalformed
	// RejectTooLarge: its head is over the limit; answered 413, 414 or 431.
	RejectTooLarge
	// RejectHeadTimeout: its head was not complete in time.
	RejectHeadTimeout
	// RejectNotAllowed: the peer may not speak to this socket.
	RejectNotAllowed
	// RejectLimitPost: its body is over limit-post; answered 413. It held a slot, so it is one
	// of the requests too.
	RejectLimitPost
	// RejectHarakiri: it ran for longer than harakiri allows; answered 504 if nothing was
	// written. It held a slot, so it is one of the requests too.
	RejectHarakiri
	// RejectQueueFull: as many requests waited for a slot as may; answered 503.
	RejectQueueFull
)

// RejectFor is the reason behind the status with which a protocol server refuses what no
// handler gets to see.
func RejectFor(status int) Reject {
	switch status {
	case http.StatusForbidden:
		return RejectNotAllowed
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return RejectHeadTimeout
	case http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
		return RejectTooLarge
	}
	return RejectMalformed
}

// NumRejects is the number of reasons. It is part of the scoreboard's layout.
const NumRejects = int(RejectQueueFull)

func (r Reject) String() string {
	switch r {
	case RejectQueueTimeout:
		return "queue_timeout"
	case RejectClientGone:
		return "client_gone"
	case RejectMalformed:
		return "malformed"
	case RejectTooLarge:
		return "too_large"
	case RejectHeadTimeout:
		return "head_timeout"
	case RejectNotAllowed:
		return "not_allowed"
	case RejectLimitPost:
		return "limit_post"
	case RejectHarakiri:
		return "harakiri"
	case RejectQueueFull:
		return "queue_full"
	}
	return fmt.Sprintf("Reject(%d)", uint8(r))
}

// Rejects counts by reason: that of reason r is Rejects[r-1].
type Rejects [NumRejects]uint64

// Total is the sum over all reasons.
func (r Rejects) Total() (n uint64) {
	for _, k := range r {
		n += k
	}
	return n
}

// RejectStats is Rejects as they are shown.
type RejectStats struct {
	QueueTimeout uint64 `json:"queue_timeout"`
	ClientGone   uint64 `json:"client_gone"`
	Malformed    uint64 `json:"malformed"`
	TooLarge     uint64 `json:"too_large"`
	HeadTimeout  uint64 `json:"head_timeout"`
	NotAllowed   uint64 `json:"not_allowed"`
	LimitPost    uint64 `json:"limit_post"`
	Harakiri     uint64 `json:"harakiri"`
	QueueFull    uint64 `json:"queue_full"`
}

func (r Rejects) row() RejectStats {
	return RejectStats{r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8]}
}

// Each gives every reason with its number, also those with none.
func (r RejectStats) Each() iter.Seq2[string, uint64] {
	all := Rejects{r.QueueTimeout, r.ClientGone, r.Malformed, r.TooLarge, r.HeadTimeout, r.NotAllowed, r.LimitPost, r.Harakiri, r.QueueFull}
	return func(yield func(string, uint64) bool) {
		for i, n := range all {
			if !yield(Reject(i+1).String(), n) {
				return
			}
		}
	}
}

// Exit is why a worker's process ended.
type Exit uint8

const (
	// ExitReload: another generation took its place, or its own was rejected.
	ExitReload Exit = iota + 1
	// ExitResize: the worker was taken away.
	ExitResize
	// ExitStop: the server stops.
	ExitStop
	// ExitRetired: it asked for a successor, after a SIGTERM for example.
	ExitRetired
	// ExitHarakiri: a request ran for too long.
	ExitHarakiri
	// ExitMemory: it had grown too large.
	ExitMemory
	// ExitLifetime: it had lived long enough.
	ExitLifetime
	// ExitMaxRequests: it had served enough.
	ExitMaxRequests
	// ExitSignal: a signal from outside killed it, the kernel's included.
	ExitSignal
	// ExitStatus: it exited though nobody had asked it to.
	ExitStatus
	// ExitStartFailed: it never became ready.
	ExitStartFailed
	// ExitUnresponsive: the master killed it, because it did not do what it was told.
	ExitUnresponsive
)

// NumExits is the number of reasons.
const NumExits = int(ExitUnresponsive)

func (e Exit) String() string {
	switch e {
	case ExitReload:
		return "reload"
	case ExitResize:
		return "resize"
	case ExitStop:
		return "stop"
	case ExitRetired:
		return "retired"
	case ExitHarakiri:
		return "harakiri"
	case ExitMemory:
		return "memory"
	case ExitLifetime:
		return "lifetime"
	case ExitMaxRequests:
		return "max_requests"
	case ExitSignal:
		return "signal"
	case ExitStatus:
		return "exit"
	case ExitStartFailed:
		return "start_failed"
	case ExitUnresponsive:
		return "unresponsive"
	}
	return fmt.Sprintf("Exit(%d)", uint8(e))
}

// Exits counts by reason: that of reason e is Exits[e-1].
type Exits [NumExits]uint64

// Restarts is Exits as they are shown.
type Restarts struct {
	Reload       uint64 `json:"reload"`
	Resize       uint64 `json:"resize"`
	Stop         uint64 `json:"stop"`
	Retired      uint64 `json:"retired"`
	Harakiri     uint64 `json:"harakiri"`
	Memory       uint64 `json:"memory"`
	Lifetime     uint64 `json:"lifetime"`
	MaxRequests  uint64 `json:"max_requests"`
	Signal       uint64 `json:"signal"`
	Exit         uint64 `json:"exit"`
	StartFailed  uint64 `json:"start_failed"`
	Unresponsive uint64 `json:"unresponsive"`
}

// Restarts is how e is shown.
func (e Exits) Restarts() Restarts {
	return Restarts{e[0], e[1], e[2], e[3], e[4], e[5], e[6], e[7], e[8], e[9], e[10], e[11]}
}

// Each gives every reason with its number, also those with none.
func (r Restarts) Each() iter.Seq2[string, uint64] {
	all := Exits{r.Reload, r.Resize, r.Stop, r.Retired, r.Harakiri, r.Memory, r.Lifetime, r.MaxRequests, r.Signal, r.Exit, r.StartFailed, r.Unresponsive}
	return func(yield func(string, uint64) bool) {
		for i, n := range all {
			if !yield(Exit(i+1).String(), n) {
				return
			}
		}
	}
}
