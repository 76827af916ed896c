package pool

// prompt is a connection that can be asked for what it does at once, see package accept:
// 0 and no error where it would have to wait.
type prompt interface {
	TryRead([]byte) (int, error)
	TryWrite([]byte) (int, error)
	TryWritev([][]byte) (int, error)
}

// TryRead is for servers that ask before they wait. A connection that cannot be asked
// always has to wait.
func (c *conn) TryRead(b []byte) (int, error) {
	p, ok := c.Conn.(prompt)
	if !ok {
		return 0, nil
	}
	n, err := p.TryRead(b)
	c.pool.rows[c.row.Load()].AddRx(int64(n))
	return n, err
}

// TryWrite is TryRead's counterpart.
func (c *conn) TryWrite(b []byte) (int, error) {
	p, ok := c.Conn.(prompt)
	if !ok {
		return 0, nil
	}
	n, err := p.TryWrite(b)
	c.sent(int64(n))
	return n, err
}

// TryWritev is TryWrite of several pieces.
func (c *conn) TryWritev(pieces [][]byte) (int, error) {
	p, ok := c.Conn.(prompt)
	if !ok {
		return 0, nil
	}
	n, err := p.TryWritev(pieces)
	c.sent(int64(n))
	return n, err
}
