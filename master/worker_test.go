package master

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seed17661985/ostler/stats/scoreboard"
	"github.com/seed17661985/ostler/worker/control"
)

// tinyConfig is the configuration of a tinyWorker.
type tinyConfig struct {
	Fail string // what New says
	Exit int    // the status to exit with instead of getting ready

	Beat bool // give signs of life

	Say, Panic string // what it prints before, and how it ends instead
}

// tinyWorker is the smallest program that keeps the contract: it answers each connection
// with a line about itself. Its return is the exit status.
func tinyWorker() int {
	conn, err := control.Inherit()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 100
	}
	if err := tinyLife(conn); err != nil {
		_ = conn.Send(control.Failed{Stage: "tiny", Err: err.Error()})
		return 1
	}
	return 0
}

func tinyLife(conn *control.Conn) error {
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP)
	if err := conn.Send(control.Hello{Version: control.Version, PID: os.Getpid()}); err != nil {
		return err
	}
	m, err := conn.Recv()
	if err != nil {
		return err
	}
	setup, ok := m.(control.Setup)
	if !ok {
		return fmt.Errorf("got a %T, want Setup", m)
	}
	page, err := scoreboard.Open(control.InheritScoreboard())
	if err != nil {
		return err
	}
	control.CloseExecutable(len(setup.Sockets))
	var config tinyConfig
	if err := json.Unmarshal(setup.Config, &config); err != nil {
		return err
	}
	fmt.Print(config.Say)
	if config.Panic != "" {
		panic(config.Panic)
	}
	if config.Exit != 0 {
		os.Exit(config.Exit)
	}
	if config.Beat {
		page.Beat(time.Now())
		go func() {
			for now := range time.Tick(5 * time.Millisecond) {
				page.Beat(now)
			}
		}()
	}
	if config.Fail != "" {
		return fmt.Errorf("%s", config.Fail)
	}
	return tinyServe(conn, setup, page)
}

// tinyServe serves until it is told to drain, or its master is gone.
func tinyServe(conn *control.Conn, setup control.Setup, page *scoreboard.Page) error {
	var serving sync.WaitGroup
	var listeners []net.Listener
	for i, s := range setup.Sockets {
		ln, err := control.InheritListener(i, s)
		if err != nil {
			return err
		}
		listeners = append(listeners, ln)
		serving.Go(func() { tinyAccept(ln, setup, page) })
	}
	if err := conn.Send(control.Ready{}); err != nil {
		return err
	}
	for {
		m, err := conn.Recv()
		_, drain := m.(control.Drain)
		if !drain && err == nil {
			continue
		}
		// If a sibling's launch had made the sockets blocking, this would hang.
		for _, ln := range listeners {
			_ = ln.Close()
		}
		serving.Wait()
		return nil
	}
}

func tinyAccept(ln net.Listener, setup control.Setup, page *scoreboard.Page) {
	for id := uint64(1); ; id++ {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		page.Slot(0).Begin(id, time.Now(), "GET", "/", "")
		_ = json.NewEncoder(c).Encode(tellAbout(setup))
		_ = c.Close()
		page.Slot(0).End(0, 200, time.Microsecond)
	}
}

// tale is what a tinyWorker says about itself.
type tale struct {
	Slot, Generation, PID, Group, UID int
	Name, Dir, Procs, Leaked          string
	Descriptors                       []string
}

func tellAbout(setup control.Setup) tale {
	dir, _ := os.Getwd()
	t := tale{
		Slot: setup.Slot, Generation: setup.Generation, PID: os.Getpid(), UID: os.Getuid(),
		Group: syscall.Getpgrp(), Name: os.Args[0], Dir: dir, Procs: os.Getenv("GOMAXPROCS"),
	}
	for _, kv := range os.Environ() {
		if strings.HasPrefix(kv, "OSTLER_") || strings.HasPrefix(kv, "NOTIFY_") || strings.HasPrefix(kv, "LISTEN_") {
			t.Leaked += kv + " "
		}
	}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		name, _ := os.Readlink("/proc/self/fd/" + e.Name())
		t.Descriptors = append(t.Descriptors, e.Name()+" "+name)
	}
	return t
}
