package uwsgi_test

import (
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/seed17661985/ostler/server/uwsgi"
)

// A handler behind nginx's "uwsgi_pass unix:/run/app.sock;" would be served alike.
func Example() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := &uwsgi.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s, mounted at %q", r.Method, r.URL.Path, uwsgi.VarsOf(r).Get("SCRIPT_NAME"))
	})}
	go srv.Serve(l)
	defer srv.Close()

	client := &http.Client{Transport: &uwsgi.Client{
		Network: "tcp",
		Addr:    l.Addr().String(),
		Vars:    uwsgi.Vars{{Name: "SCRIPT_NAME", Value: "/shop"}},
	}}
	resp, err := client.Get("http://example.com/shop/cart")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body))
	// Output: GET /cart, mounted at "/shop"
}
