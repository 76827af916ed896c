package master

import (
	"net"
	"testing"
	"testing/synctest"

	"github.com/seed17661985/ostler/worker/control"
)

// flood says ready for as long as somebody listens.
func flood(conn *control.Conn) {
	for conn.Send(control.Ready{}) == nil {
	}
}

func TestAWorkerThatFloodsWaitsForTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		conn, mail := control.NewConn(a), newMailbox()
		go flood(control.NewConn(b))
		ended := make(chan struct{})
		go func() { (&hearer{mail: mail, inc: 1, conn: conn, gone: make(chan struct{})}).hear(); close(ended) }()
		synctest.Wait()
		notes := mail.take()
		if len(notes) != frameCredit {
			t.Errorf("%d notes wait for a loop that does not come, want %d", len(notes), frameCredit)
		}
		_ = b.Close()
		for { // a loop that comes gives the credit back, and hears the end
			for _, n := range notes {
				n.credit.giveBack()
			}
			synctest.Wait()
			select {
			case <-ended:
				return
			default:
				notes = mail.take()
			}
		}
	})
}

func TestAWorkerThatFloodsIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{live: func(p *fakeProcess) Exit {
			if p.spec.Slot == 2 || p.pid > 1<<30+2 {
				return good(p)
			}
			_ = p.boot()
			flood(p.conn)
			return Exit{Code: 1}
		}}
		m, end := run(t.Context(), t, Plan{Workers: 2}, l, nil)
		<-m.Started()
		until(t, "a successor serves", func() bool { return m.Snapshot().Ready == 2 && l.latest(1).pid > 1<<30+2 })
		m.Stop(false)
		if err := end(); err != nil {
			t.Error(err)
		}
	})
}
