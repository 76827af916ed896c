package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/seed17661985/ostler/stats"
	"github.com/seed17661985/ostler/worker/control"
)

// Plan is all that one generation of workers needs. The master never looks into Config:
// it is handed to the workers as it is. A Plan is not changed after it was returned.
type Plan struct {
	Build   string // of the program, for people
	Workers int    // with Scaling the most there may be
	Scaling Scaling
	Threads int // request slots of each worker

	Affinity int // CPUs each worker is bound to; zero: it is not

	Apps    []stats.App // what the workers count requests for; a worker numbers them in this order
	Sockets []Socket
	Config  json.RawMessage

	Env        []string // whole environment; what concerns the contract is replaced
	Dir        string   // working directory; empty means the master's
	Credential *Credential

	StartTimeout time.Duration // for a worker to become ready; zero means 60s
	Mercy        time.Duration // for a worker to drain; zero means 30s
	LameDuck     time.Duration // to serve on, not ready, before a stop begins; zero: a stop begins at once
	Linger       time.Duration // idle connections are kept this long in a drain

	// Limits at which a worker is replaced; zero: none.
	RSS         uint64        // bytes of memory, at several looks in a row
	EvilRSS     uint64        // bytes of memory at which it is killed at once
	MaxLifetime time.Duration // since it was ready, less up to a tenth
	MinLifetime time.Duration // no limit but EvilRSS holds before

	// Of a reload to this plan.
	Probation time.Duration // all new workers have to do well for so long before the old ones go; zero: none
	Surge     int           // processes there may be beyond Workers; zero: all new ones beside all old ones
}

// Socket is a listening socket that all workers of a generation share.
type Socket struct {
	control.Socket

	Backlog int         // zero means 1024; above the kernel's limit it is cut to that
	Mode    os.FileMode // of a unix socket; zero leaves what the umask gave
	Uid     int         // owner of a unix socket; -1 leaves it
	Gid     int         // group of a unix socket; -1 leaves it
}

// Credential is what workers run as when the master is root.
type Credential struct {
	Uid, Gid uint32
	Groups   []uint32
}

const (
	defaultStartTimeout = 60 * time.Second
	defaultMercy        = 30 * time.Second
	defaultBacklog      = 1024
)

// withDefaults returns the plan with its zero durations replaced.
func (p Plan) withDefaults() Plan {
	if p.StartTimeout == 0 {
		p.StartTimeout = defaultStartTimeout
	}
	if p.Mercy == 0 {
		p.Mercy = defaultMercy
	}
	return p
}

// check refuses a plan that the machine could not carry out.
func (p Plan) check() error {
	var errs []error
	if p.Workers < 1 {
		errs = append(errs, fmt.Errorf("a plan with %d workers, want at least 1", p.Workers))
	}
	if p.Threads < 1 {
		errs = append(errs, fmt.Errorf("a plan with %d threads, want at least 1", p.Threads))
	}
	if p.Probation < 0 || p.Surge < 0 {
		errs = append(errs, fmt.Errorf("a plan with a probation of %s and a surge of %d, want neither below 0", p.Probation, p.Surge))
	}
	if err := p.Scaling.check(p.Workers); err != nil {
		errs = append(errs, err)
	}
	apps := make(map[stats.App]bool, len(p.Apps))
	for _, a := range p.Apps {
		if apps[a] || a == (stats.App{}) {
			errs = append(errs, fmt.Errorf("app %q at %q is there twice or is none", a.Name, a.Mountpoint))
		}
		apps[a] = true
	}
	names := make(map[string]bool, len(p.Sockets))
	for _, s := range p.Sockets {
		if names[s.Name] {
			errs = append(errs, fmt.Errorf("socket %s is there twice", s.Name))
		}
		names[s.Name] = true
	}
	return errors.Join(errs...)
}

func (p Plan) timing() timing {
	return timing{
		start: p.StartTimeout, mercy: p.Mercy, linger: p.Linger, lameDuck: p.LameDuck,
		probation: p.Probation, surge: p.Surge,
	}
}
