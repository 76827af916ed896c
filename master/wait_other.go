//go:build !linux

package master

// Wait reaps at once: not every system can wait without.
func (c *child) Wait() {
	exit := c.reap()
	c.reaped = &exit
}
