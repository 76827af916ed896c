package server

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// masterSignals is what a master listens to; the table of meanings is in the
// README. SIGPIPE is caught and dropped: a master must not die because the reader
// of its standard error did.
//
// Each signal waits in a place of its own, because Notify drops what finds its
// channel full: a burst of one, while its work is slow, must not cost another.
func masterSignals() (<-chan os.Signal, func()) {
	all := make(chan os.Signal)
	ctx, stop := context.WithCancel(context.Background())
	for _, s := range [...]os.Signal{
		syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU,
	} {
		own := make(chan os.Signal, 2) // a second TERM means more than the first
		signal.Notify(own, s)
		go forward(ctx, own, all)
	}
	broken := make(chan os.Signal, 1) // nobody reads it
	signal.Notify(broken, syscall.SIGPIPE)
	return all, func() {
		stop()
		signal.Stop(broken)
	}
}

// forward passes signals on until ctx ends.
func forward(ctx context.Context, from chan os.Signal, to chan<- os.Signal) {
	defer signal.Stop(from)
	for {
		select {
		case s := <-from:
			select {
			case to <- s:
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// onSignal is called by one goroutine only, which makes `asked` safe.
func (i *instance) onSignal(s os.Signal) {
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
