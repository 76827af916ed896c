// Package control is everything that must be true for a process to be a worker:
// which variable tells it so, which descriptors it is born with, and what it and its
// master say to each other.
//
//	master                    socketpair, fd 3                       worker
//	  ── Setup, Drain, Reopen, Gather ─────────────────────────────▶
//	  ◀──────────────────── Hello, Ready, Failed, Retire, Metrics ──
//
// It promises: a frame's length is checked before anything is allocated for it; a kind
// this build does not know is skipped and counted, so either side may be newer; Send
// never blocks longer than five seconds, so a stopped worker cannot hold its master;
// and no listener that passes through here ever loses O_NONBLOCK. It does not know
// what a configuration contains, when a worker should live or die, or what is served.
//
// docs/control.md describes the same contract byte by byte.
package control

// Version is the contract's version. Any change that an older peer would
// misunderstand raises it; a new kind or a new JSON field does not.
//
// Invariant: framing, Hello and Failed are the same in every version, so that two
// builds which do not fit can still say so in words.
const Version = 1

// EnvVar marks a process as a worker; its value is the contract version. It is removed
// from the environment as soon as it is read: a program started by the application
// must not take itself for a worker.
const EnvVar = "OSTLER_WORKER"

// A worker is born with these descriptors. 0 is /dev/null, 1 and 2 are the log.
const (
	ConnFD        = 3 // the control socket, a unix stream
	ScoreboardFD  = 4 // the shared page, see stats/scoreboard
	FirstSocketFD = 5 // socket i of Setup is 5+i; 5+n, after n sockets, is the pinned executable
)

// MaxFrame is the largest body of a frame.
const MaxFrame = 1 << 20
