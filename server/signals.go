package server

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// signalSource is what a master listens to; the table of meanings is in the
// README. SIGPIPE is caught and dropped: a master must not die because the reader
// of its standard error did.
//
// Each signal waits in a place of its own, because Notify drops what finds its
// channel full: a burst of one, while its work is slow, must not cost another.
type signalSource struct {
	all    chan os.Signal
	broken chan os.Signal // nobody reads it
	over   chan struct{}  // closed: nobody reads all any more

	forwarding sync.WaitGroup

	mu     sync.Mutex // never held while something is waited for
	places []chan os.Signal
}

func newSignalSource() *signalSource {
	s := &signalSource{all: make(chan os.Signal), broken: make(chan os.Signal, 1), over: make(chan struct{})}
	signal.Notify(s.broken, syscall.SIGPIPE)
	s.listen()
	return s
}

func (s *signalSource) listen() {
	for _, sig := range [...]os.Signal{
		syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU,
	} {
		place := make(chan os.Signal, 2) // a second TERM means more than the first
		signal.Notify(place, sig)
		s.mu.Lock()
		s.places = append(s.places, place)
		s.mu.Unlock()
		s.forwarding.Go(func() { s.forward(place) })
	}
}

func (s *signalSource) forward(place <-chan os.Signal) {
	for sig := range place {
		s.pass(sig)
	}
}

func (s *signalSource) pass(sig os.Signal) {
	select {
	case s.all <- sig:
	case <-s.over:
	}
}

// allHeard is passed on when no signal is on its way any more. It asks for nothing.
const allHeard = syscall.Signal(0)

// hold returns when every signal that came was acted on, or when ctx ends. Those that
// come later, until listen, would end this process: somebody has to keep them
// (master.Keeper).
func (s *signalSource) hold(ctx context.Context) error {
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		s.stop()
		s.pass(allHeard) // its reader is done with the one before
	}()
	select {
	case <-heard:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *signalSource) stop() {
	s.mu.Lock()
	places := s.places
	s.places = nil
	s.mu.Unlock()
	for _, place := range places {
		signal.Stop(place) // when it returns, what the runtime had is in place
		close(place)
	}
	s.forwarding.Wait()
}

func (s *signalSource) end() {
	close(s.over)
	s.stop()
	signal.Stop(s.broken)
}

// onSignal is called by one goroutine only, which makes `asked` safe.
func (i *instance) onSignal(s os.Signal) {
	if s == allHeard {
		return
	}
	i.log.Info("signal", "signal", signalName(s))
	switch s {
	case syscall.SIGTERM, syscall.SIGINT:
		i.master.Stop(i.asked) // the second one means now
		i.asked = true
	case syscall.SIGQUIT:
		i.master.Stop(true)
	case syscall.SIGHUP:
		i.master.RequestReload()
	case syscall.SIGUSR1:
		i.reopenLogs()
	case syscall.SIGUSR2:
		i.logStatus()
	case syscall.SIGTTIN:
		i.master.AddWorker()
	case syscall.SIGTTOU:
		i.master.RemoveWorker()
	}
}

// signalName is the name an operator used to send it: TTIN, not "stopped (tty
// input)".
func signalName(s os.Signal) string {
	if n, ok := s.(syscall.Signal); ok {
		return unix.SignalName(n)
	}
	return s.String()
}
