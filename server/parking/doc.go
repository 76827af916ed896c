// Package parking keeps the http connections that wait for a request, without a server.
//
//	listener ─▶ Lot.Listener ─▶ Conn ─▶ *http.Server ─▶ ... ─▶ idle for a while
//	                              ▲                               │ io.EOF
//	             Lot.Returning ───┴──── the next byte ◀── Lot ◀───┘
//
// A connection in net/http costs some 20 KiB, whatever it does: two buffers, a goroutine that
// once was deep in a handler, contexts. One that has been idle for a while is therefore taken
// out: the server is told that it ended, and closes what it believes to be the connection. When
// the next byte comes the server gets it back, as a new connection.
//
// It promises: neither side notices. No byte is lost or doubled, whenever it comes; the
// connection ends when the server's IdleTimeout would have ended it; what stands below keeps its
// state and its address; whoever closes the connection below, as a drain does, ends its stay.
// Connections that are busy are never taken out, nor are those with bytes that nobody has read,
// HTTP/2, or hijacked ones.
//
// It does not know how many connections there may be, or what a request is.
package parking
