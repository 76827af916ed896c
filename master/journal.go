package master

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	journalRoom = 256         // lines that may wait for a log that is slow
	lastLines   = time.Second // what they are given at the end
)

// journal takes the loop's log lines to the log. A log can stall, a pipe whose reader
// sleeps for one, and then whoever writes to it waits: that must not be the loop.
type journal struct {
	log   hclog.Logger
	lines chan actLog   // closed by close
	done  chan struct{} // closed when the last one is written

	lost int // lines that found no room since the last one that did; the loop's
}

func newJournal(log hclog.Logger) *journal {
	j := &journal{log: log, lines: make(chan actLog, journalRoom), done: make(chan struct{})}
	go func() {
		defer close(j.done)
		for a := range j.lines {
			j.log.Log(a.level, a.msg, a.kv...)
		}
	}()
	return j
}

// put never waits. Once there is room again, a line tells how many there was none for.
func (j *journal) put(level hclog.Level, msg string, kv ...any) {
	if j.lost > 0 {
		if !j.offer(j.confession()) {
			j.lost++
			return
		}
		j.lost = 0
	}
	if !j.offer(actLog{level: level, msg: msg, kv: kv}) {
		j.lost++
	}
}

func (j *journal) offer(a actLog) bool {
	select {
	case j.lines <- a:
		return true
	default:
		return false
	}
}

func (j *journal) confession() actLog {
	return actLog{level: hclog.Warn, msg: "log lines lost, the log was not taken", kv: []any{"lines", j.lost}}
}

// close waits until all is written, but not for ever.
func (j *journal) close() {
	patience, end := context.WithTimeout(context.Background(), lastLines)
	defer end()
	if j.lost > 0 {
		select {
		case j.lines <- j.confession():
		case <-patience.Done():
		}
	}
	close(j.lines)
	select {
	case <-j.done:
	case <-patience.Done():
	}
}
