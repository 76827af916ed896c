package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
)

// A visitor in a real browser, behind a real nginx that speaks uwsgi and serves the collected
// files: pages, the form, an upload that shows how far it is, and a new version of the site
// whose style sheet has a new name.
func TestAVisitorInABrowser(t *testing.T) {
	requirePeer(t, "nginx")
	binary := filepath.Join(t.TempDir(), "site")
	build(t, binary)
	d := newDeployment(t, binary)
	d.startSite("site.toml")
	d.startNginx("uwsgi")
	page := servertest.StartBrowser(t).Open("http://" + d.addr["127.0.0.1:8080"] + "/")

	first := sheet(page)
	if !strings.Contains(first, "/static/style.") || first == "/static/style.css" || background(page) != "rgb(247, 239, 226)" {
		t.Errorf("the page has the style sheet %s and the background %s", first, background(page))
	}
	page.Leave(`document.getElementById("name").value = "Anna"; document.getElementById("message").value = "<i>Fine</i> stables"; document.querySelector("form").requestSubmit()`)
	page.Until(`document.querySelector(".message")?.textContent === "<i>Fine</i> stables"`)
	checkUpload(t, d, page)

	build(t, binary+".new", overlay(t)...)
	if err := os.Rename(binary+".new", binary); err != nil {
		t.Fatal(err)
	}
	d.run("collectstatic", "--config", "site.toml")
	d.run("reload", "--config", "site.toml")
	page = servertest.StartBrowser(t).Open("http://" + d.addr["127.0.0.1:8080"] + "/")
	if second := sheet(page); second == first || background(page) != "rgb(1, 2, 3)" {
		t.Errorf("after the reload: style sheet %s, before %s, background %s", second, first, background(page))
	}
}

// checkUpload sends a file, and watches the bar. How often that moves is the browser's to say: it
// does so every 50 ms, and at the end.
func checkUpload(t *testing.T, d *deployment, page *servertest.Tab) {
	t.Helper()
	const size = 32 << 20
	page.Go("http://" + d.addr["127.0.0.1:8080"] + "/upload")
	page.Run(nil, fmt.Sprintf(`
		window.seen = [];
		const bar = document.querySelector("progress");
		new MutationObserver(() => seen.push(bar.value)).observe(bar, { attributes: true });
		const files = new DataTransfer();
		files.items.add(new File([new Uint8Array(%d)], "zeros"));
		document.getElementById("file").files = files.files;
		document.querySelector("form").requestSubmit();`, size))
	sum := fmt.Sprintf("%x", sha256.Sum256(make([]byte, size)))
	page.Until(fmt.Sprintf(`document.querySelector("code")?.textContent === %q`, sum))
	var seen []int64
	page.Run(&seen, `seen`)
	if len(seen) == 0 || seen[len(seen)-1] < size {
		t.Errorf("the bar showed %v of %d bytes", seen, size)
	}
}

func sheet(page *servertest.Tab) (href string) {
	page.Run(&href, `document.querySelector("link[rel=stylesheet]").getAttribute("href")`)
	return href
}

func background(page *servertest.Tab) (color string) {
	page.Run(&color, `getComputedStyle(document.body.parentElement).backgroundColor`)
	return color
}

func build(t *testing.T, binary string, flags ...string) {
	t.Helper()
	args := append(append([]string{"build", "-buildvcs=false", "-o", binary}, flags...), ".")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

// overlay gives the flags for a build of the next version of the site, which is black.
func overlay(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	style, err := filepath.Abs("static/style.css")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(style)
	if err != nil {
		t.Fatal(err)
	}
	black, file := filepath.Join(dir, "style.css"), filepath.Join(dir, "overlay.json")
	table, err := json.Marshal(map[string]any{"Replace": map[string]string{style: black}})
	if err == nil {
		err = os.WriteFile(black, append(text, "\n:root { background: rgb(1, 2, 3); }\n"...), 0o644)
	}
	if err == nil {
		err = os.WriteFile(file, table, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return []string{"-overlay", file}
}
