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
	lines chan journalLine // closed by close
	done  chan struct{}    // closed when the last one is written

	lost int // lines that found no room since the last one that did; the loop's
}

// journalLine is a line, or the question whether all before it are written.
type journalLine struct {
	actLog
	written chan<- struct{}
}

func newJournal(log hclog.Logger) *journal {
	j := &journal{log: log, lines: make(chan journalLine, journalRoom), done: make(chan struct{})}
	go func() {
		defer close(j.done)
		for line := range j.lines {
			if line.written != nil {
				close(line.written)
				continue
			}
			j.log.Log(line.level, line.msg, line.kv...)
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
	case j.lines <- journalLine{actLog: a}:
		return true
	default:
		return false
	}
}

func (j *journal) confession() actLog {
	return actLog{level: hclog.Warn, msg: "log lines lost, the log was not taken", kv: []any{"lines", j.lost}}
}

// flush gives what is closed when all that was put is written. A log that is full is not
// waited for: then it stays open.
func (j *journal) flush() <-chan struct{} {
	written := make(chan struct{})
	select {
	case j.lines <- journalLine{written: written}:
	default:
	}
	return written
}

// close waits until all is written, but not for ever.
func (j *journal) close() {
	patience, end := context.WithTimeout(context.Background(), lastLines)
	defer end()
	if j.lost > 0 {
		select {
		case j.lines <- journalLine{actLog: j.confession()}:
		case <-patience.Done():
		}
	}
	close(j.lines)
	select {
	case <-j.done:
	case <-patience.Done():
	}
}
