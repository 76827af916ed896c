package servertest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// Browser is a headless Chromium, driven by its DevTools protocol over a pipe: JSON
// messages, each ended by a NUL. It needs no port and no driver program, and ends when the
// pipe does.
type Browser struct {
	t  testing.TB
	in io.WriteCloser

	mu      sync.Mutex
	last    int                      // id of a call
	calls   map[int]chan devMessage  // that wait for their result
	loading map[string]chan struct{} // by session: closed at the load event
}

// devMessage is a call, its result, or an event.
type devMessage struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

// StartBrowser starts one that ends with the test. See Peer for what happens without Chromium.
func StartBrowser(t testing.TB) *Browser {
	t.Helper()
	cmd := exec.Command(Peer(t, "chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--remote-debugging-pipe", "--user-data-dir="+Dir(t))
	theirIn, ourOut := pipe(t)
	ourIn, theirOut := pipe(t)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, as the option wants
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	b := &Browser{t: t, in: ourOut, calls: map[int]chan devMessage{}, loading: map[string]chan struct{}{}}
	var reading sync.WaitGroup
	reading.Go(func() { b.read(ourIn) })
	t.Cleanup(func() {
		ourOut.Close()
		kill := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Wait() // its exit code tells nothing about the test
		ourIn.Close()
		reading.Wait()
	})
	return b
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

func (b *Browser) read(from io.Reader) {
	in := bufio.NewReader(from)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			return // a call that waits notices by its deadline
		}
		var m devMessage
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
			continue
		}
		b.mu.Lock()
		if call := b.calls[m.ID]; call != nil {
			delete(b.calls, m.ID)
			call <- m
		}
		if loading := b.loading[m.Session]; loading != nil && m.Method == "Page.loadEventFired" {
			delete(b.loading, m.Session)
			close(loading)
		}
		b.mu.Unlock()
	}
}

// call makes a call and reads its result into v, unless that is nil.
func (b *Browser) call(session, method string, params, v any) {
	b.t.Helper()
	done := make(chan devMessage, 1)
	b.mu.Lock()
	b.last++
	b.calls[b.last] = done
	text, err := json.Marshal(devMessage{ID: b.last, Session: session, Method: method, Params: params})
	if err == nil {
		_, err = b.in.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	select {
	case m := <-done:
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error)
		}
		if v != nil {
			err = json.Unmarshal(m.Result, v)
		}
		if err != nil {
			b.t.Fatalf("%s: %v in %s", method, err, m.Result)
		}
	case <-time.After(patience):
		b.t.Fatalf("%s: no answer from the browser", method)
	}
}

// Tab is a page of the browser.
type Tab struct {
	b       *Browser
	session string
}

// Open returns when the page is loaded.
func (b *Browser) Open(url string) *Tab {
	b.t.Helper()
	var target struct{ TargetID string }
	b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	p := &Tab{b: b, session: attached.SessionID}
	b.call(p.session, "Page.enable", struct{}{}, nil)
	p.Go(url)
	return p
}

// Go returns when another page is loaded in p.
func (p *Tab) Go(url string) {
	p.b.t.Helper()
	p.load(url, func() { p.b.call(p.session, "Page.navigate", map[string]any{"url": url}, nil) })
}

// Leave evaluates JavaScript that leads to another page, and returns when that is loaded.
func (p *Tab) Leave(script string) {
	p.b.t.Helper()
	p.load(script, func() { p.b.call(p.session, "Runtime.evaluate", map[string]any{"expression": script}, nil) })
}

func (p *Tab) load(what string, leave func()) {
	b := p.b
	b.t.Helper()
	loaded := make(chan struct{})
	b.mu.Lock()
	b.loading[p.session] = loaded
	b.mu.Unlock()
	leave()
	select {
	case <-loaded:
	case <-time.After(patience):
		b.t.Fatalf("no page is loaded: %s", what)
	}
}

// Run evaluates JavaScript in the page, waits for what it promises, and reads the outcome
// into v, unless that is nil.
func (p *Tab) Run(v any, script string) {
	p.b.t.Helper()
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	p.b.call(p.session, "Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}, &out)
	if out.ExceptionDetails != nil {
		p.b.t.Fatalf("%s\n%s", script, out.ExceptionDetails)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(out.Result.Value, v); err != nil {
		p.b.t.Fatalf("%s: %v in %s", script, err, out.Result.Value)
	}
}

// Until waits until a condition, a JavaScript expression, holds in the document.
func (p *Tab) Until(condition string) {
	p.b.t.Helper()
	p.Run(nil, fmt.Sprintf(`new Promise((done) => {
		const holds = () => %s;
		if (holds()) return done();
		const watch = new MutationObserver(() => { if (holds()) { watch.disconnect(); done(); } });
		watch.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
	})`, condition))
}

// Screenshot is a PNG, for a person who wants to know what the test saw.
func (p *Tab) Screenshot(path string) {
	p.b.t.Helper()
	var shot struct{ Data []byte }
	p.b.call(p.session, "Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	if err := os.WriteFile(path, shot.Data, 0o644); err != nil {
		p.b.t.Fatal(err)
	}
}
