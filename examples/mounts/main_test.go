package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m, apps()...) }

// The example's own file, on sockets of the test.
func TestTheShopWorksWhereverItIsMounted(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("mounts.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"/shop", "/deep/down"} {
		toml := strings.NewReplacer("127.0.0.1:8000", "$DIR/http", "127.0.0.1:9191", "$DIR/stats", "stats      ", "stats", `"/shop"`, `"`+prefix+`"`).Replace(string(file))
		i := servertest.Launch(t, toml)
		client := i.HTTP("http") // follows redirects
		for _, c := range []struct{ method, path, want string }{
			{"GET", "/", "Welcome.\n"},
			{"GET", prefix + "/item/7", "Item 7. Buy it: POST " + prefix + "/cart\n"},
			{"GET", prefix + "//item/7", "Item 7. Buy it: POST " + prefix + "/cart\n"}, // ServeMux cleans the path
			{"POST", prefix + "/cart", "Your cart.\n"},
		} {
			req, err := http.NewRequest(c.method, "http://example"+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(body) != c.want {
				t.Errorf("%s %s: %q, %v; want %q", c.method, c.path, body, err, c.want)
			}
		}
	}
}
