package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/seed17661985/ostler/server"
	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// deadline is for events that are bound to come.
const deadline = 60 * time.Second

func TestMain(m *testing.M) { servertest.Main(m, app()) }

func app() server.App { return server.App{Name: "chat", New: open} }

// startChat runs the chat from its own file, with sockets in the instance's folder.
func startChat(t *testing.T) *servertest.Instance {
	t.Helper()
	return servertest.Start(t, replaced(t, "chat.toml",
		"127.0.0.1:8000", "$DIR/uwsgi", "127.0.0.1:8001", "$DIR/http", "127.0.0.1:9191", "$DIR/stats"), app())
}

// replaced reads a file of this folder and puts other words for those that are shipped.
func replaced(t *testing.T, file string, pairs ...string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(string(text), pairs[i]) {
			t.Fatalf("%s does not contain %s", file, pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(string(text))
}

// visitor is a member that is no browser.
type visitor struct {
	t   *testing.T
	ctx context.Context
	ws  *websocket.Conn
}

func visit(t *testing.T, client *http.Client, url string) *visitor {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	ws, _, err := websocket.Dial(ctx, url+"room", &websocket.DialOptions{
		HTTPClient: client, HTTPHeader: http.Header{"Origin": {strings.TrimSuffix(url, "/")}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	v := &visitor{t: t, ctx: ctx, ws: ws}
	v.hears("welcome")
	return v
}

func (v *visitor) say(text string) {
	v.t.Helper()
	if err := wsjson.Write(v.ctx, v.ws, line{ID: text, Name: "V", Text: text}); err != nil {
		v.t.Fatal(err)
	}
}

// hears waits for the next event of a kind.
func (v *visitor) hears(kind string) event {
	v.t.Helper()
	for {
		var e event
		if err := wsjson.Read(v.ctx, v.ws, &e); err != nil {
			v.t.Fatalf("no %q came: %v", kind, err)
		}
		if e.Kind == kind {
			return e
		}
	}
}

// leftWith reads to the end and gives the code that the room closed with.
func (v *visitor) leftWith() websocket.StatusCode {
	for {
		if _, _, err := v.ws.Read(v.ctx); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}

// proxyPass is what docs/operations.md says that nginx needs over http.
const proxyPass = `server {
	listen 127.0.0.1:%d;
	location / {
		proxy_pass http://unix:%s/http;
		proxy_http_version 1.1;
		proxy_set_header Upgrade $http_upgrade;
		proxy_set_header Connection upgrade;
		proxy_set_header Host $http_host;
	}
}`

// The same room, whatever the way: http alone, and nginx over uwsgi and over http. A visitor
// is counted, holds no slot, and is asked to come again when the worker goes.
func TestEveryWayLeadsIntoTheRoom(t *testing.T) {
	t.Parallel()
	chat, url := behindNginx(t)
	port := servertest.Port(t)
	servertest.Nginx(t, port, fmt.Sprintf(proxyPass, port, chat.Dir))
	direct, proxied := visit(t, chat.HTTP("http"), "http://chat.example/"), visit(t, http.DefaultClient, url)
	byHTTP := visit(t, http.DefaultClient, fmt.Sprintf("http://127.0.0.1:%d/", port))
	proxied.say("hello from behind nginx")
	if e := direct.hears("said"); e.Lines[0].Text != "hello from behind nginx" {
		t.Errorf("heard %+v", e)
	}
	direct.say("hello from nearby")
	for e := proxied.hears("said"); e.Lines[0].Text != "hello from nearby"; e = proxied.hears("said") {
		if e.Lines[0].Text != "hello from behind nginx" { // its own
			t.Errorf("heard %+v", e)
		}
	}
	if e := byHTTP.hears("said"); e.Lines[0].Text != "hello from behind nginx" {
		t.Errorf("heard %+v", e)
	}
	s := chat.WaitFor("three websockets and no request", func(s stats.Snapshot) bool {
		return s.Workers[0].Upgraded == 3 && s.Workers[0].Status == stats.Idle
	})
	old := s.Workers[0].PID

	if out, code := chat.Command("reload"); code != 0 {
		t.Fatalf("reload: %d %s", code, out)
	}
	for name, v := range map[string]*visitor{"http": direct, "nginx and uwsgi": proxied, "nginx and http": byHTTP} {
		if code := v.leftWith(); code != websocket.StatusServiceRestart {
			t.Errorf("over %s the goodbye is %d, want 1012", name, code)
		}
	}
	s = chat.WaitFor("nobody is left in the old worker", func(s stats.Snapshot) bool {
		return s.Workers[0].PID != old && s.Workers[0].Upgraded == 0 && !servertest.Alive(old)
	})
	if n := s.Workers[0].Upgrades; n != 3 {
		t.Errorf("%d upgrades are counted, want 3", n)
	}
	for _, bad := range []string{"[ERROR]", "cut by the drain limit", "mercy is over"} {
		if strings.Contains(chat.Log(), bad) {
			t.Errorf("%s in the log:\n%s", bad, chat.Log())
		}
	}
}

// A page of another site must not speak for whoever looks at it.
func TestAnotherSitesPageIsRefused(t *testing.T) {
	t.Parallel()
	chat, url := behindNginx(t)
	for name, to := range map[string]struct {
		client *http.Client
		url    string
	}{"http": {chat.HTTP("http"), "http://chat.example/"}, "nginx": {http.DefaultClient, url}} {
		_, res, err := websocket.Dial(t.Context(), to.url+"room", &websocket.DialOptions{
			HTTPClient: to.client, HTTPHeader: http.Header{"Origin": {"https://evil.example"}}})
		if err == nil || res == nil || res.StatusCode != http.StatusForbidden {
			t.Errorf("over %s: %v, %v", name, res, err)
		}
	}
}
