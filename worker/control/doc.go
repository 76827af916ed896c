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
const Version = 2

// EnvVar marks a process as a worker; its value is the contract version. It is removed
// from the environment as soon as it is read: a program started by the application
// must not take itself for a worker.
const EnvVar = "OSTLER_WORKER"

// A worker is born with these descriptors. 0 is /dev/null; 1 and 2 are read by the master,
// who passes it on to the log and keeps the end of it, until the worker is ready and puts
// the log itself in their place.
const (
	ConnFD        = 3 // the control socket, a unix stream
	ScoreboardFD  = 4 // the shared page, see stats/scoreboard
	CrashFD       = 5 // a file for what the Go runtime prints when it crashes
	LogFD         = 6 // the log, as standard output; 7 is it as standard error
	FirstSocketFD = 8 // socket i of Setup is 8+i; 8+n, after n sockets, is the pinned executable
)

// MaxFrame is the largest body of a frame.
const MaxFrame = 1 << 20
