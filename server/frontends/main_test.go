// Package frontends holds the tests of an ostler server behind real front ends:
// nginx, Apache httpd, lighttpd, uWSGI's http router, and curl with nothing between.
//
// They promise: what docs/front-ends.md says about each of them is what happens.
// There is no code here to import.
package frontends

import (
	"flag"
	"net/http"
	"testing"

	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/servertest"
)

var update = flag.Bool("update", false, "rewrite testdata/differences.txt and the generated part of docs/front-ends.md")

// TestMain registers the applications: the workers are this test binary.
func TestMain(m *testing.M) { servertest.Main(m, apps()...) }

func apps() []server.App {
	return []server.App{
		server.Handler("mirror", mirror()),
		server.Handler("events", newEvents()),
		server.Handler("early", http.HandlerFunc(early)),
		server.Handler("bulk", http.HandlerFunc(bulk)),
	}
}
