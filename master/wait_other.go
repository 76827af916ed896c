//go:build !linux

package master

// ended is how a process that was reaped ended.
type ended struct{ exit Exit }

// Wait reaps at once: not every system can wait without.
func (c *child) Wait() { c.exit = c.reap() }

func (c *child) Reap() Exit { return c.exit }
