// Package accept makes the connections of a listener as cheap as the system calls they
// need: accept, read, write, close.
//
//	listener ─▶ accept4 ─▶ Conn: read and write at once ─▶ close
//	   │                     └─ would block: into the runtime's poller, once
//	   ├─ Accept:      waits in the runtime's poller, with all other goroutines
//	   └─ AcceptAlone: blocks its thread on an epoll of its own, EPOLLEXCLUSIVE,
//	                   or stands back while another process has the turn
//
// A net.Listener of the standard library gives each connection to the runtime's poller,
// and takes it out again: three system calls and some bookkeeping that a request which is
// already there, and an answer that fits the socket's buffer, never use. And it waits
// without EPOLLEXCLUSIVE, so that one connection wakes every process that shares the
// listener.
//
// It promises: a Conn is a net.Conn, with everything package net promises of one, Close
// during a Read and deadlines included; a listener is closed for this process only; a
// connection that accept4 returned is returned by Accept, also if Close came in between.
//
// It does not know what is spoken on a connection, or how many there may be.
//
// Elsewhere than on Linux Listen gives its listener back as it is.
package accept
