package master

import (
	"net"
	"testing"

	"github.com/seed17661985/ostler/worker/control"
)

// A scrape may ask a worker that has just gone. What it said before is still to be heard.
func TestAWordToAWorkerThatLeftCostsNoneOfItsLast(t *testing.T) {
	conn, end, err := control.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	nc, err := net.FileConn(end)
	if err != nil {
		t.Fatal(err)
	}
	_ = end.Close()
	worker := control.NewConn(nc)
	if err := worker.Send(control.Retire{Reason: "last word"}); err != nil {
		t.Fatal(err)
	}
	_ = worker.Close()

	out := make(chan outgoing, 2)
	out <- outgoing{message: control.Reopen{}}
	out <- outgoing{message: control.Reopen{}}
	close(out)
	write(conn, out)
	if m, err := conn.Recv(); err != nil || m != (control.Retire{Reason: "last word"}) {
		t.Errorf("heard %#v, %v", m, err)
	}
}
