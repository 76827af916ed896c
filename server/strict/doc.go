// Package strict stands between a socket and net/http's server, and lets through only HTTP/1
// requests that every reader understands alike.
//
//	socket ─▶ Conn: where does a request begin and end? ─▶ *http.Server ─▶ handler
//	                └─ not certain: 400, 431 or 505, one Refusal, the end of the connection
//
// net/http is lenient where front ends differ: it takes a Transfer-Encoding beside a
// Content-Length, repeated lengths, folded lines and bare line feeds. Two readers who see
// different ends of one request see different requests behind it: request smuggling.
//
// It promises: the server gets a head only when all of it came and was found unambiguous; it
// gets no byte of the next request before it has finished with the last; where this package
// sees the end of a request, net/http sees it too; a refusal is answered behind the responses
// that are due before it, never into one; bodies are not copied, and a request allocates
// nothing.
//
// It does not judge what follows on a connection that was hijacked, HTTP/2 behind its preface,
// responses, or what a request means. It knows nothing of the rest of ostler.
package strict
