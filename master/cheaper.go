package master

import (
	"errors"
	"fmt"
	"time"
)

// Scaling says when the number of workers follows the load. The zero value: it is fixed.
type Scaling struct {
	Least   int // workers that always stay; zero: the number does not change by itself
	Initial int // workers at the start; a reload begins with as many as there are
	Step    int // workers that are added at a time

	// Backlog: the queue alone adds workers, more than Overload connections in it. Otherwise
	// it is how busy they are, over cycles of so many looks; and a queue longer than Alert
	// adds some at once.
	Backlog  bool
	Overload int
	Alert    int

	Max, Min   int           // percent of their slots that are busy
	Multiplier int           // calm cycles in a row before one worker goes
	Penalty    int           // more of them after one that went was needed again soon
	Idle       time.Duration // without a request before all but Least go; zero: they do not
}

// check refuses what would not settle. most is the plan's number of workers.
func (s Scaling) check(most int) error {
	switch {
	case s.Least == 0:
		return nil
	case s.Least < 0 || s.Initial < s.Least || most < s.Initial:
		return fmt.Errorf("a plan with %d to %d workers, %d at the start", s.Least, most, s.Initial)
	case s.Step < 1 || s.Overload < 1 || s.Multiplier < 1 || s.Penalty < 0 || s.Alert < 0 || s.Idle < 0:
		return errors.New("a plan that scales by steps, cycles or times that are too small")
	case s.Min < 0 || s.Min >= s.Max || s.Max > 100:
		return fmt.Errorf("a plan that scales between %d and %d percent", s.Min, s.Max)
	}
	return nil
}

const (
	// spare is what the workers that stay must have left, in percent of what is allowed them,
	// for one to go: a load that stands still would otherwise have it back at once.
	spare = 10

	// mostPatience bounds what penalties make of Multiplier, as a multiple of it.
	mostPatience = 10
)

// scaler decides how many workers there should be. It is pure: what it knows of the load is
// what it is told, and of the time how often. The fields are exported because it is left to
// the program that follows this one.
type scaler struct {
	Rule Scaling // fixed
	Most int     // TTIN and TTOU change it

	Looks, Sum int  // of the present cycle: how many, and the percents they saw
	Short      bool // the last look missed a worker

	Calm     int  // cycles in a row in which one worker less would do
	Patience int  // so many of them are asked for
	Lowered  bool // the last change was one less
	Since    int  // cycles since then
	Quiet    int  // looks in a row that saw no request
}

func newScaler(rule Scaling, most int) scaler {
	return scaler{Rule: rule, Most: most, Patience: rule.Multiplier}
}

// reading is what a look has seen of the workers that serve.
type reading struct {
	busy   int  // percent of their slots since the look before; below zero: not known
	queue  int  // connections that wait
	active bool // there was a request, or there is an open connection that was one
}

// decide returns how many workers there should be instead of so many, of which the first
// ready ones serve, and why if that is another number.
//
// Nobody is added while one is missing. A worker that boots will help soon, and one that
// dies again and again would not help any more often. And nobody goes while one of those
// that would stay is missing.
func (s *scaler) decide(r reading, ready, workers int) (int, string) {
	s.watch(r, ready < workers)
	switch {
	case s.idle() && workers > s.Rule.Least && ready >= s.Rule.Least:
		s.restart()
		return s.Rule.Least, "idle for " + s.Rule.Idle.String()
	case r.queue > s.alert() && s.grows(ready, workers):
		return s.up(workers), fmt.Sprintf("%d connections wait", r.queue)
	case r.busy < 0:
		return workers, ""
	}
	s.Looks++
	s.Sum += r.busy
	if s.Looks < s.cycle() {
		return workers, ""
	}
	busy := s.Sum / s.Looks
	s.Looks, s.Sum = 0, 0
	return s.judge(busy, r.queue, ready, workers)
}

// judge is decide at the end of a cycle.
func (s *scaler) judge(busy, queue, ready, workers int) (int, string) {
	s.Since++
	switch {
	case s.isBusy(busy) && s.grows(ready, workers):
		return s.up(workers), fmt.Sprintf("%d%% busy", busy)
	case ready < workers-1 || !s.isCalm(busy, queue, workers):
		s.Calm = 0
		return workers, ""
	}
	if s.Calm++; s.Calm < s.Patience {
		return workers, ""
	}
	return s.down(workers), fmt.Sprintf("%d%% busy", busy)
}

// watch notes what counts look by look. A cycle in which some workers were missing says
// nothing about how busy all of them are.
func (s *scaler) watch(r reading, short bool) {
	s.Quiet++
	if r.active || r.queue > 0 {
		s.Quiet = 0
	}
	if s.Short && !short {
		s.Looks, s.Sum = 0, 0
	}
	s.Short = short
}

func (s *scaler) on() bool { return s.Rule.Least > 0 }

func (s *scaler) grows(ready, workers int) bool { return ready >= workers && workers < s.Most }

func (s *scaler) idle() bool {
	return s.Rule.Idle > 0 && time.Duration(s.Quiet)*lookEvery >= s.Rule.Idle
}

// alert is the queue that is too long at any look.
func (s *scaler) alert() int {
	if s.Rule.Backlog {
		return s.Rule.Overload
	}
	return s.Rule.Alert
}

func (s *scaler) cycle() int {
	if s.Rule.Backlog {
		return 1
	}
	return s.Rule.Overload
}

func (s *scaler) isBusy(busy int) bool { return !s.Rule.Backlog && busy > s.Rule.Max }

// isCalm reports whether one worker less would do: by the rule, and because those that stay
// could take over what it does.
func (s *scaler) isCalm(busy, queue, workers int) bool {
	allowed := s.Rule.Max
	calm := busy < s.Rule.Min
	if s.Rule.Backlog {
		allowed, calm = 100, queue < s.Rule.Overload
	}
	return calm && workers > s.Rule.Least && busy*workers*100 <= allowed*(100-spare)*(workers-1)
}

// up adds workers. If one had gone a short while before, the next ones have to wait longer.
func (s *scaler) up(workers int) int {
	switch {
	case s.Lowered && s.Since <= s.Patience:
		s.Patience = min(s.Patience+s.Rule.Penalty, s.Rule.Multiplier*mostPatience)
	case s.Lowered:
		s.forgive()
	}
	s.Lowered = false
	s.restart()
	return min(workers+s.Rule.Step, s.Most)
}

// down takes one away. Where the one before was not missed, some of a penalty is forgiven.
func (s *scaler) down(workers int) int {
	if s.Lowered {
		s.forgive()
	}
	s.Lowered, s.Since = true, 0
	s.restart()
	return workers - 1
}

func (s *scaler) forgive() { s.Patience = max(s.Patience-1, s.Rule.Multiplier) }

// restart is for a number of workers, or a time, that what was seen before is not about.
func (s *scaler) restart() { s.Looks, s.Sum, s.Calm = 0, 0, 0 }
