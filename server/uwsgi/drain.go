package uwsgi

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// How long a connection is kept after its answer, for the answer's sake: closing while
// unread data waits in the kernel, or still arrives, makes the kernel send a reset that
// overtakes the answer, and the front end reports 502 instead of our 413. A front end
// that has the answer closes its side, so these bounds are only for those that do not.
const (
	lingerIdle  = 2 * time.Second  // without a byte
	lingerTotal = 30 * time.Second // in all
	lingerBytes = 1 << 30
)

// finish ends the connection after a handler.
func (c *conn) finish(how ending) {
	if how == endHijacked {
		return
	}
	c.src.end()
	c.watch.stop()
	remain := c.body.finish()
	switch {
	case how == endBroken:
		c.abort()
	case c.src.more || remain > int64(c.br.Buffered()):
		c.linger()
		c.rwc.Close()
	default:
		c.rwc.Close() // the socket was empty: nothing can turn this into a reset
	}
}

// abort closes so that the peer notices. A declared Content-Length already does it.
func (c *conn) abort() {
	resetOnClose(c.rwc)
	c.rwc.Close()
}

// linger says that the answer is over, then reads until the peer says so too.
func (c *conn) linger() {
	half, ok := c.rwc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	buf := c.srv.getBuffers()
	defer c.srv.putBuffers(buf)
	p := buf.body[:cap(buf.body)]
	end := time.Now().Add(lingerTotal)
	for total := 0; total < lingerBytes; {
		idle := time.Now().Add(lingerIdle)
		if idle.After(end) {
			idle = end
		}
		c.rwc.SetReadDeadline(idle)
		n, err := c.rwc.Read(p)
		if err != nil {
			return
		}
		total += n
	}
}

// maxStrangers is how many peers that are not allowed are waited for at a time. They may
// come at any rate and owe nothing; one too many may miss why it was sent away.
const maxStrangers = 16

// turnAway answers a peer that has nothing to say here.
func (c *conn) turnAway(err error) {
	if c.srv.strangers.Add(1) <= maxStrangers {
		c.refuse(err, false)
	} else {
		c.answerError(err, false)
		c.rwc.Close()
	}
	c.srv.strangers.Add(-1)
}

// refuse answers a request that no handler will see, and logs why.
func (c *conn) refuse(err error, noBody bool) {
	if c.answerError(err, noBody) {
		c.linger()
	}
	c.rwc.Close()
}

// answerError reports whether the answer went out.
func (c *conn) answerError(err error, noBody bool) bool {
	pe := &ProtocolError{Status: http.StatusBadRequest, Reason: err.Error()}
	errors.As(err, &pe)
	c.log("uwsgi request refused", "status", pe.Status, "cause", pe.Reason)
	if c.srv.OnRefuse != nil {
		c.srv.OnRefuse(pe.Status)
	}
	// What the connection was admitted for will not come: see Server.
	if a, ok := c.rwc.(interface{ Answered() }); ok {
		a.Answered()
	}
	_, err = c.Write(appendError(nil, pe.Status, pe.Reason, c.srv.dates.at(time.Now()), noBody))
	return err == nil
}

// appendError appends a whole response in plain text.
func appendError(b []byte, status int, reason, date string, noBody bool) []byte {
	text := fmt.Sprintf("%d %s\n", status, http.StatusText(status))
	if reason != "" {
		text += reason + "\n"
	}
	var hd head
	b = hd.begin(b, status, http.Header{
		"Content-Type":           {"text/plain; charset=utf-8"},
		"X-Content-Type-Options": {"nosniff"},
	})
	hd.length = int64(len(text))
	b = hd.finish(b, nil, date)
	if noBody {
		return b
	}
	return append(b, text...)
}
