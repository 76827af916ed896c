//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// idleConnections shows what clients cost that stay connected and ask nothing, as browsers
// and load balancers do. net/http stands beside ostler, because both serve http with the same
// code of the standard library.
func idleConnections(ctx context.Context, l lab) (finding, error) {
	if err := enoughDescriptors(l.idle); err != nil {
		return finding{}, err
	}
	ours := peer{name: ostlerDirect, front: direct, commands: ostler("http-socket", equal, `http-keepalive = "600s"`)}
	theirs := peer{name: netHTTPDirect, front: direct, commands: netHTTP()}
	f, err := newField(ctx, l.built, "connections", l.workers, []peer{ours, theirs})
	defer f.close()
	if err != nil {
		return finding{}, err
	}
	var g grid
	g.add("server", "PSS MiB before", "PSS MiB with them", "grown by MiB", "KiB each", "CPU ms in 10 s", "CPU ms in 10 s, without them")
	result := finding{}
	for _, s := range f.servers {
		c, err := crowd(ctx, s, l.idle)
		if err != nil {
			return result, fmt.Errorf("%s with %d connections: %w", s.name, l.idle, err)
		}
		grown := mebi(c.with.pss) - mebi(c.before.pss)
		g.add(s.name, fmt.Sprintf("%.1f", mebi(c.before.pss)), fmt.Sprintf("%.1f", mebi(c.with.pss)), fmt.Sprintf("%.1f", grown),
			fmt.Sprintf("%.1f", grown*1024/float64(l.idle)), fmt.Sprintf("%.1f", micros(c.cpu)/1e3), fmt.Sprintf("%.1f", micros(c.alone)/1e3))
		if s.name == ostlerDirect {
			what := fmt.Sprintf("%d idle http connections: ", l.idle)
			result.claims = append(result.claims,
				atMost(what+"MiB over all processes", grown, "%.1f", 100),
				atMost(what+"CPU ms in 10 s, more than without them", max(0, micros(c.cpu-c.alone)/1e3), "%.1f", 10))
		}
	}
	result.text = fmt.Sprintf("%d keep-alive http connections that have had one answer each and then ask nothing. "+
		"All processes of the server count, its master too.\n\n%s", l.idle, g.String())
	return result, nil
}

// crowded is a server before and with its idle connections.
type crowded struct {
	before, with memory
	alone, cpu   time.Duration // used in ten seconds without and with them
}

func crowd(ctx context.Context, s *server, n int) (crowded, error) {
	const rest = 10 * time.Second
	var c crowded
	pids, err := tree(s.trees[""].cmd.Process.Pid)
	if err != nil {
		return c, err
	}
	alone, err := spent(pids, func() error { return wait(ctx, rest) })
	if err != nil {
		return c, err
	}
	if c.before, err = resident(pids); err != nil {
		return c, err
	}
	conns, err := connect(ctx, strings.TrimPrefix(s.site, "http://"), n)
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	if err != nil {
		return c, err
	}
	// What the burst of arrivals left to do, a garbage collection say, is not the price of idling.
	if err := wait(ctx, rest/2); err != nil {
		return c, err
	}
	cpu, err := spent(pids, func() error { return wait(ctx, rest) })
	if err != nil {
		return c, err
	}
	c.alone, c.cpu = alone.cpu, cpu.cpu
	if c.with, err = resident(pids); err != nil {
		return c, err
	}
	return c, stillOpen(conns)
}

// connect opens n connections and has one request answered on each: a server treats one that
// has never asked anything as new and not as idle. All are from one address, which has some
// 28,000 ports for them. What was opened is returned even if it errs.
func connect(ctx context.Context, address string, n int) ([]net.Conn, error) {
	var conns []net.Conn
	var dialer net.Dialer
	reader := bufio.NewReaderSize(nil, 1024)
	for range n {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return conns, err
		}
		conns = append(conns, conn)
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return conns, err
		}
		if _, err := io.WriteString(conn, "GET /hello HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
			return conns, err
		}
		reader.Reset(conn)
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			return conns, err
		}
		if err := hello().compare("GET /hello", resp); err != nil {
			return conns, err
		}
	}
	return conns, nil
}

// stillOpen makes sure that the memory was that of connections and not of closed ones.
func stillOpen(conns []net.Conn) error {
	for i, conn := range conns {
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			return err
		}
		var n int
		var peeked error
		err = raw.Control(func(fd uintptr) {
			n, _, peeked = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		})
		if err != nil || !errors.Is(peeked, unix.EAGAIN) {
			return fmt.Errorf("connection %d was not left open: %d bytes to read, %w", i, n, errors.Join(err, peeked))
		}
	}
	return nil
}

// enoughDescriptors: this process holds one end of every connection. Go has raised the soft
// limit to the hard one already.
func enoughDescriptors(n int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Cur < uint64(n)+100 {
		return fmt.Errorf("%d connections need as many descriptors, the limit is %d: raise it (ulimit -n %d) or give -idle", n, limit.Cur, n+100)
	}
	return nil
}

func mebi(bytes uint64) float64 { return float64(bytes) / (1 << 20) }
