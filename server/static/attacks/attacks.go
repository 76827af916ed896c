// Package attacks has paths that try to read what is not to be read, for the tests of all
// that serves files.
package attacks

import (
	"net/url"
	"os"
	"path/filepath"
)

// Secret is in every file that must not be read.
const Secret = "the ostler's own strongbox"

// Plant makes the folder that the attacks are about in dir: root is served, what is beside
// it is not.
func Plant(dir string) error {
	files := map[string]string{
		"root/app.css": "body {}", "root/sub/page.html": "<p>page",
		"root/.hidden": Secret, "root/.git/config": Secret, "root/sub/.env": Secret, "root/.ostler-static.json": "{}",
		"secret": Secret, "root-secret/secret": Secret, "rootsecret": Secret,
	}
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	links := map[string]string{
		"link-out": "../secret", "dir-out": "..", "abs-out": filepath.Join(dir, "secret"), "etc": "/etc", "roundabout": "sub/../../secret",
		"neighbour": "../root-secret", "loop": "loop", "link-in": "app.css", "dangling": "../nothing",
		"out.css": "../secret", "app.css.gz": "../secret", "app.css.zst": filepath.Join(dir, "secret"),
	}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(dir, "root", name)); err != nil {
			return err
		}
	}
	return nil
}

// Targets are the attacks as they stand in a request line, on a folder that is served at
// prefix: "/static", or "" for the root.
func Targets(prefix string) []string {
	up := []string{
		"/../secret", "/sub/../../secret", "/./../secret", "//../secret", "/%2e%2e/secret", "/%2E%2E/secret", "/.%2e/secret", "/%2e./secret",
		"/..%2fsecret", "/..%2Fsecret", "/sub%2f..%2f..%2fsecret", "/%252e%252e/secret", "/%252e%252e%252fsecret", "/%25252e%25252e/secret",
		"/..;/secret", "/..;a=b/secret", "/..%3b/secret", "/.../secret", "/....//secret", "/..%00/secret", "/..%0d/secret", "/..%20/secret",
		`/..\secret`, "/..%5csecret", "/..%5Csecret", `/sub\..\..\secret`, "/%5c..%5c..%5csecret", "/..%255csecret",
		"/..%c0%afsecret", "/%c0%ae%c0%ae/secret", "/%e0%80%ae%e0%80%ae/secret", "/%uff0e%uff0e/secret", "/%ef%bc%8e%ef%bc%8e/secret", "/..%u2215secret",
		"/../root-secret/secret", "/../rootsecret", "-secret/secret", "secret", "app.css", "sub/page.html", "/../root/../secret",
	}
	name := []string{
		"/.hidden", "/%2ehidden", "/.git/config", "/sub/.env", "/sub/%2eenv", "/.ostler-static.json", "/.", "/..", "/sub/..", "/sub/.", "/app.css/..",
		"/app.css%00", "/app.css%00.png", "/app.css%0a", "/app.css%7f", "/app.css/", "/app.css%2f", "//app.css", "/sub//page.html", "/sub/%2fpage.html",
		"/link-out", "/dir-out/secret", "/abs-out", "/etc/passwd", "/roundabout", "/neighbour/secret", "/loop", "/dangling", "/out.css",
		"/sub", "/sub/", "/", "//etc/passwd", "/%2fetc/passwd", "/%2fetc%2fpasswd", "///etc/passwd", "/file:///etc/passwd",
		"/c:/windows/win.ini", "/C:%5cwindows", "/con", "/NUL", "/aux.css", "/com1", "/app.css::$DATA", "/app.css.", "/app.css%20", "/APP~1.CSS",
		"/~root/secret", "/proc/self/environ", "/app.css/secret", "/app.css;/../../secret", "/%", "/%2", "/%zz/../secret",
	}
	var all []string
	for _, end := range append(up, name...) {
		all = append(all, prefix+end)
	}
	return all
}

// URL is what a server makes of a target: decoded once. One that cannot be decoded, which
// servers refuse, is taken as it is.
func URL(target string) *url.URL {
	path, err := url.PathUnescape(target)
	if err != nil {
		path = target
	}
	return &url.URL{Path: path, RawPath: target}
}
