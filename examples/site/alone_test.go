package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The site alone, as the head of its file says: a worker serves the pages and the files they
// name.
func TestAlone(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "site")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	d := newDeployment(t, binary)
	d.run("collectstatic", "--config", "site-alone.toml")
	d.startSite("site-alone.toml")
	site := "http://" + d.addr["127.0.0.1:8000"]
	_, page := d.page(site + "/")
	names := regexp.MustCompile(`/static/[a-z]+\.[0-9a-f]{12}\.(css|svg)`).FindAllString(page, -1)
	if len(names) != 3 {
		t.Fatalf("the page names %v\n%s", names, page)
	}
	for _, name := range append(names, "/static/style.css") {
		res, body := d.page(site + name)
		want, err := os.ReadFile(regexp.MustCompile(`^/|\.[0-9a-f]{12}`).ReplaceAllString(name, ""))
		if err != nil {
			t.Fatal(err)
		}
		caching := "immutable"
		if name == "/static/style.css" {
			caching = "no-cache"
		}
		if res.StatusCode != 200 || body != string(want) || !strings.Contains(res.Header.Get("Cache-Control"), caching) {
			t.Errorf("%s: %d, %d bytes of %d, %v", name, res.StatusCode, len(body), len(want), res.Header)
		}
	}
	if res, _ := d.page(site + "/static/../site-alone.toml"); res.StatusCode == 200 {
		t.Error("the configuration was read")
	}
}

func (d *deployment) page(url string) (*http.Response, string) {
	d.t.Helper()
	res, err := d.client.Get(url)
	if err != nil {
		d.t.Fatalf("%v\n%s", err, d.logs())
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return res, string(body)
}
