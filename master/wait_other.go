//go:build !linux

package master

// Wait reaps at once: not every system can wait without.
func (c *child) Wait() { c.exit = c.reap() }

func (c *child) Reap() Exit { return c.exit }
