package master

import "context"

// Ping returns when the loop has done all that was asked of it before, or with the error
// of ctx. After the master's end there is nothing left that could hang.
func (m *Master) Ping(ctx context.Context) error {
	pong := make(chan struct{})
	if !m.mail.post(note{pong: pong}) {
		return nil
	}
	select {
	case <-pong:
		return nil
	case <-m.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
