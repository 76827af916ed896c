// Package uwsgi serves HTTP handlers over the uwsgi protocol, which nginx, Apache
// httpd, lighttpd and uWSGI's own routers speak to an application server. It mirrors
// net/http/fcgi and needs the standard library only.
//
//	front end ──▶ modifier1 | size u16 | modifier2 | variables | body      one request
//	          ◀── HTTP/1.1 200 OK, header, body, end of connection         per connection
//
// It promises: a request is decoded strictly or refused with an HTTP answer and one
// log line, never closed in silence; variables are data, so nothing a front end sends
// (UWSGI_FILE, UWSGI_CHDIR, ...) makes the server act; a handler sees the request that
// net/http would have shown it, and the client the answer that net/http would have
// given; an answer is not lost because a request body was left unread; a response that
// broke off is visible as broken.
//
// It does not know who may run how many handlers, which process it lives in, or where
// its listener came from.
//
// What a front end says that has no field in [http.Request] is reached with [VarsOf].
// [Scheme] tells whether the client spoke TLS to the front end; Request.TLS stays nil,
// because there is no TLS state to show.
//
// # How long things live
//
// As net/http promises, and no less:
//
//   - A request is made for one handler and never used again: its URL, header, context
//     values and [VarsOf] may be kept. Who keeps a part of it keeps the whole, its block of
//     variables included; clone a string that is to live long.
//   - Its context ends when the handler returns, at the latest. So does its body, also for a
//     goroutine that reads it at that moment: later reads give http.ErrBodyReadAfterClose.
//     The files of a parsed multipart form are removed then.
//   - A ResponseWriter is never used again either. What is done with it after the handler
//     returned reaches no client, and fails where it can say so. Its header is the
//     handler's: changes after WriteHeader do nothing.
//   - Slices given to Read and Write belong to the handler again when the call returns.
//   - A hijacked connection is the handler's alone, with what was read of it already.
//
// Only the buffers in front of the wire are used for the next request. No handler sees them.
//
// # A limit of the kernel
//
// Over TCP an aborted response is ended by a reset. A unix socket has no reset, so there an
// abort shows only if Content-Length was declared.
package uwsgi
