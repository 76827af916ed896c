package uwsgi

import (
	"net/http"
	"sync/atomic"
	"time"
)

// dateCache makes the text of a Date header once per second. Its zero value is ready.
type dateCache struct {
	last atomic.Pointer[date]
}

// date is never changed once it is stored.
type date struct {
	second int64
	text   string
}

// at never returns the text of another second, whoever stored last: goroutines of two
// seconds that meet only make a text too many.
func (c *dateCache) at(now time.Time) string {
	d := c.last.Load()
	if d == nil || d.second != now.Unix() {
		d = &date{now.Unix(), now.UTC().Format(http.TimeFormat)}
		c.last.Store(d)
	}
	return d.text
}
