package pool

import "net/http"

// Charge says which app, by its number on the page, the request behind w is for. It is
// counted there when it ends, its panic too. w is what Handler gave to the application, or
// wraps it in the way of http.ResponseController. A request that nobody is charged with
// counts as no app's.
func Charge(w http.ResponseWriter, app int) {
	for {
		switch inner := w.(type) {
		case *response:
			inner.app = app
			return
		case interface{ Unwrap() http.ResponseWriter }:
			w = inner.Unwrap()
		default:
			return // a writer of a test, say
		}
	}
}
