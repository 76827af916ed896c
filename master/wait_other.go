//go:build !linux

package master

// Wait reaps at once: not every system can wait without.
func (c *child) Wait() { c.exit = c.reap() }

func (c *child) Reap() Exit { return c.exit }

// rssUnit is that of getrusage's ru_maxrss on darwin; FreeBSD counts in KiB.
const rssUnit = 1
