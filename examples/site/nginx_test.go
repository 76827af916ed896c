package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const stats = "127.0.0.1:9191" // of site.toml, site-http.toml and site-1.toml

// The deployments of this folder, under a real nginx and with the real binary.
func TestDeployments(t *testing.T) {
	requirePeer(t, "nginx")
	binary := filepath.Join(t.TempDir(), "site")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, c := range []struct{ nginx, config string }{{"uwsgi", "site.toml"}, {"http", "site-http.toml"}} {
		t.Run(c.nginx, func(t *testing.T) {
			d := newDeployment(t, binary)
			d.startSite(c.config)
			d.startNginx(c.nginx)
			t.Run("page", d.in(testPage))
			t.Run("static file", d.in(testStaticFile))
			t.Run("form", d.in(testForm))
			t.Run("upload", d.in(testUpload))
			t.Run("upload over the limit", d.in(testUploadOverLimit))
			t.Run("download", d.in(testDownload))
			t.Run("not found", d.in(testNotFound))
			t.Run("panic", d.in(testPanic))
			t.Run("reload", d.in(func(d *deployment) { testReload(d, c.config) }))
			t.Run("stop", d.in(func(d *deployment) { testStop(d, c.config) }))
		})
	}
	t.Run("balance", func(t *testing.T) {
		d := newDeployment(t, binary)
		d.startSite("site-1.toml")
		d.startSite("site-2.toml")
		d.startNginx("balance")
		t.Run("weights", d.in(testWeights))
		t.Run("one instance down", d.in(testInstanceDown))
	})
}

// ask sends one request through nginx and reads the whole answer.
func (d *deployment) ask(method, path, kind string, body io.Reader) (*http.Response, []byte) {
	d.t.Helper()
	r, err := http.NewRequest(method, "http://"+d.addr["127.0.0.1:8080"]+path, body)
	if err != nil {
		d.t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	res, err := d.client.Do(r)
	if err != nil {
		d.t.Fatalf("%s %s: %v\n%s", method, path, err, d.logs())
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, path, err)
	}
	return res, answer
}

func testPage(d *deployment) {
	res, body := d.ask("GET", "/", "", nil)
	if res.StatusCode != 200 || !bytes.Contains(body, []byte("Sign the book")) {
		d.t.Errorf("got %d\n%s", res.StatusCode, body)
	}
	if !strings.HasPrefix(res.Header.Get("Server"), "nginx") {
		d.t.Errorf("not through nginx: %v", res.Header)
	}
}

// The workers can serve static files too, so only the counters tell who did: they must
// move by the one page asked for after the file.
func testStaticFile(d *deployment) {
	want, err := os.ReadFile("static/style.css")
	if err != nil {
		d.t.Fatal(err)
	}
	before := d.stats(stats).requests()
	if res, _ := d.ask("GET", "/static/upload.js", "", nil); !strings.HasSuffix(res.Header.Get("Content-Type"), "; charset=utf-8") {
		d.t.Errorf("a script is %q, nginx is told the charset", res.Header.Get("Content-Type"))
	}
	res, body := d.ask("GET", "/static/style.css", "", nil)
	if res.StatusCode != 200 || !bytes.Equal(body, want) || res.Header.Get("Content-Type") != "text/css" {
		d.t.Errorf("got %d, %d bytes, %v", res.StatusCode, len(body), res.Header)
	}
	d.ask("GET", "/", "", nil)
	d.eventually("count of the page", func() bool { return d.stats(stats).requests() > before })
	if after := d.stats(stats).requests(); after != before+1 {
		d.t.Errorf("requests went from %d to %d: a worker served the static file", before, after)
	}
}

func testForm(d *deployment) {
	form := url.Values{"name": {"Zoë"}, "message": {"50% off & <more>"}}.Encode()
	res, _ := d.ask("POST", "/", "application/x-www-form-urlencoded", strings.NewReader(form))
	to, err := res.Location()
	if res.StatusCode != http.StatusSeeOther || err != nil || to.Path != "/" {
		d.t.Fatalf("got %d to %v", res.StatusCode, to)
	}
	if _, body := d.ask("GET", "/", "", nil); !bytes.Contains(body, []byte("50% off &amp; &lt;more&gt;")) {
		d.t.Errorf("the entry is not on the page:\n%s", body)
	}
}

func testUpload(d *deployment) {
	sum := sha256.New()
	body := io.TeeReader(io.LimitReader(sameBytes(), 20*mib), sum)
	// No Content-Length: the client sends it chunked, as curl -T - does.
	res, answer := d.ask("POST", "/upload", "application/octet-stream", body)
	if want := fmt.Sprintf("%x  -\n", sum.Sum(nil)); res.StatusCode != 200 || string(answer) != want {
		d.t.Errorf("got %d %q, want %q", res.StatusCode, answer, want)
	}
	whole, _ := io.ReadAll(io.LimitReader(sameBytes(), 20*mib))
	_, again := d.ask("POST", "/upload", "application/octet-stream", bytes.NewReader(whole))
	if !bytes.Equal(again, answer) {
		d.t.Errorf("with Content-Length: %q, chunked: %q", again, answer)
	}
}

func testUploadOverLimit(d *deployment) {
	r, err := http.NewRequest("POST", "http://"+d.addr["127.0.0.1:8080"]+"/upload", io.LimitReader(sameBytes(), maxUpload+1))
	if err != nil {
		d.t.Fatal(err)
	}
	r.ContentLength = maxUpload + 1
	r.Header.Set("Expect", "100-continue") // so that the answer comes before the body
	res, err := d.client.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		d.t.Errorf("got %d, want 413", res.StatusCode)
	}
}

func testDownload(d *deployment) {
	res, body := d.ask("GET", "/download?mib=20", "", nil)
	want, _ := io.ReadAll(io.LimitReader(sameBytes(), 20*mib))
	if res.StatusCode != 200 || res.ContentLength != 20*mib || !bytes.Equal(body, want) {
		d.t.Errorf("got %d, %d bytes announced, %d read", res.StatusCode, res.ContentLength, len(body))
	}
}

func testNotFound(d *deployment) {
	res, body := d.ask("GET", "/no%20such?page=1", "", nil)
	if res.StatusCode != 404 || !bytes.Contains(body, []byte("<code>/no such</code>")) {
		d.t.Errorf("got %d\n%s", res.StatusCode, body)
	}
}

func testPanic(d *deployment) {
	before := d.stats(stats)
	if res, body := d.ask("GET", "/panic", "", nil); res.StatusCode != 500 {
		d.t.Errorf("got %d\n%s", res.StatusCode, body)
	}
	d.eventually("counted exception", func() bool { return d.stats(stats).exceptions() == before.exceptions()+1 })
	for range 8 { // as many as there are slots
		if res, _ := d.ask("GET", "/", "", nil); res.StatusCode != 200 {
			d.t.Errorf("after the panic: got %d", res.StatusCode)
		}
	}
	if now := d.stats(stats).pids(); !slices.Equal(now, before.pids()) {
		d.t.Errorf("workers were %v and are %v", before.pids(), now)
	}
}

func testReload(d *deployment, config string) {
	master, before := d.pid(config), d.stats(stats).pids()
	d.run("reload", "--config", config) // comes back when the new workers serve
	if now := d.pid(config); now != master {
		d.t.Errorf("the master was %d and is %d", master, now)
	}
	d.eventually("stats without the old workers", func() bool {
		return !slices.ContainsFunc(d.stats(stats).pids(), func(pid int) bool { return slices.Contains(before, pid) })
	})
	if res, _ := d.ask("GET", "/", "", nil); res.StatusCode != 200 {
		d.t.Errorf("after the reload: got %d", res.StatusCode)
	}
}

// A request that runs when the stop is asked for gets its answer.
func testStop(d *deployment, config string) {
	answer := make(chan error, 1)
	go func() {
		res, err := d.client.Get("http://" + d.addr["127.0.0.1:8080"] + "/slow?d=2s") // in which the stop has to come
		if err == nil {
			res.Body.Close()
			if res.StatusCode != 200 {
				err = errors.New(res.Status)
			}
		}
		answer <- err
	}()
	d.eventually("request on its way", func() bool { return d.stats(stats).busy() > 0 })
	d.stopSite(config)
	if err := <-answer; err != nil {
		d.t.Errorf("the request on its way: %v", err)
	}
	if res, _ := d.ask("GET", "/", "", nil); res.StatusCode != http.StatusBadGateway {
		d.t.Errorf("after the stop: got %d, want nginx to answer 502", res.StatusCode)
	}
}

// The second instance's stats are at 9192. Weights 3 and 1, one nginx worker: of any 40
// requests in a row nginx sends exactly 30 and 10.
func testWeights(d *deployment) {
	first, second := d.settled("127.0.0.1:9191"), d.settled("127.0.0.1:9192")
	for range 40 {
		if res, _ := d.ask("GET", "/", "", nil); res.StatusCode != 200 {
			d.t.Fatalf("got %d", res.StatusCode)
		}
	}
	var a, b int
	d.eventually("count of 40", func() bool {
		a, b = d.stats("127.0.0.1:9191").requests()-first, d.stats("127.0.0.1:9192").requests()-second
		return a+b >= 40
	})
	if a != 30 || b != 10 {
		d.t.Errorf("the instances served %d and %d, want 30 and 10", a, b)
	}
}

// settled waits until no request runs there any more and returns how many there were.
func (d *deployment) settled(shipped string) int {
	var s snapshot
	d.eventually("quiet instance", func() bool { s = d.stats(shipped); return s.busy() == 0 })
	return s.requests()
}

func testInstanceDown(d *deployment) {
	d.stopSite("site-1.toml")
	before := d.settled("127.0.0.1:9192")
	for range 20 {
		if res, _ := d.ask("GET", "/", "", nil); res.StatusCode != 200 {
			d.t.Errorf("got %d", res.StatusCode)
		}
	}
	d.eventually("count of 20", func() bool { return d.stats("127.0.0.1:9192").requests() == before+20 })
}
