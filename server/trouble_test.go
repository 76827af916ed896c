package server_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/servertest"
)

// troubles does what its path says: /hold/x waits at the gate, /stuck/x never returns, /crash/x
// takes the process, /slow takes its time and asks for it. Anything else is an echo.
func troubles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/hold/", servertest.GateHandler)
	mux.HandleFunc("/stuck/channel", func(http.ResponseWriter, *http.Request) { waitInAChannel(nil) })
	mux.HandleFunc("/stuck/loop", func(http.ResponseWriter, *http.Request) { spinForEver() })
	mux.HandleFunc("/stuck/syscall", func(http.ResponseWriter, *http.Request) { readFromThePipe() })
	mux.HandleFunc("/stuck/child", func(http.ResponseWriter, *http.Request) {
		done := make(chan struct{})
		go waitAsAChild(done)
		<-done
	})
	mux.HandleFunc("/late", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/begun", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("and then"))
		_ = http.NewResponseController(w).Flush()
		waitInAChannel(nil)
	})
	mux.HandleFunc("/extended", takeLonger)
	mux.HandleFunc("/crash/", crashNow)
	mux.HandleFunc("/", echo)
	return mux
}

func waitInAChannel(c chan struct{}) { <-c }

func waitAsAChild(done chan struct{}) { waitInAChannel(done) }

func spinForEver() {
	for n := 0; ; n++ {
		if n < 0 {
			n = 0
		}
	}
}

// readFromThePipe blocks a thread in the kernel: the descriptor never saw the netpoller.
func readFromThePipe() {
	var ends [2]int
	if err := syscall.Pipe(ends[:]); err != nil {
		panic(err)
	}
	_, _ = syscall.Read(ends[0], make([]byte, 1))
}

// takeLonger runs for three times the limit that the test gives it, and says so each time.
func takeLonger(w http.ResponseWriter, r *http.Request) {
	const limit = 500 * time.Millisecond
	for range 6 {
		if err := server.ExtendDeadline(r.Context(), time.Hour); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		select {
		case <-time.After(limit / 2):
		case <-r.Context().Done():
			http.Error(w, context.Cause(r.Context()).Error(), http.StatusInternalServerError)
			return
		}
	}
}

func crashNow(w http.ResponseWriter, r *http.Request) {
	switch strings.TrimPrefix(r.URL.Path, "/crash/") {
	case "map":
		writeConcurrently()
	case "overflow":
		debug.SetMaxStack(1 << 20) // else it takes a GiB first
		_, _ = fmt.Fprintln(w, overflow(0))
	case "exit":
		os.Exit(3)
	case "memory":
		limitMemory(64 << 20)
		hog()
	case "goroutine":
		go panicAlone()
		select {}
	}
}

// writeConcurrently lets the runtime notice that two goroutines write to one map.
func writeConcurrently() {
	runtime.GOMAXPROCS(2)
	shared := make(map[int]int)
	write := func() {
		for n := 0; ; n++ {
			shared[n%8] = n
		}
	}
	go write()
	write()
}

//go:noinline
func overflow(n int) int {
	if n < 0 {
		return 0
	}
	return overflow(n+1) + 1
}

func hog() {
	var kept [][]byte
	for {
		kept = append(kept, make([]byte, 16<<20))
		runtime.KeepAlive(kept)
	}
}

func panicAlone() { panic("alone in a goroutine") }
