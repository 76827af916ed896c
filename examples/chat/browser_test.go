package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// Two pages in a real browser, behind a real nginx that speaks uwsgi: they hear each other,
// a reload sends them away, and they find together again without losing or doubling a line.
func TestTwoPagesTalkThroughNginxAndAReload(t *testing.T) {
	t.Parallel()
	chat, url := behindNginx(t)
	b := servertest.StartBrowser(t)
	anna, ben := person{b.Open(url), t}, person{b.Open(url), t}
	ben.Until(`document.getElementById("state").textContent === "2 people"`)
	before := chat.Stats().Workers[0].PID

	anna.say("Anna", "Is anybody here?")
	ben.hears("Is anybody here?")
	ben.say("Ben", "<b>Me</b> & my horse")
	anna.hears("<b>Me</b> & my horse")

	reloaded := make(chan string, 1)
	go func() {
		out, code := chat.Command("reload")
		reloaded <- fmt.Sprintf("%d %s", code, out)
	}()
	anna.say("Anna", "Do you notice anything?") // before, while or after she is sent away
	ben.hears("Do you notice anything?")
	if got := <-reloaded; got[0] != '0' {
		t.Fatalf("reload: %s\n%s", got, chat.Log())
	}
	for _, p := range []person{anna, ben} {
		p.Until(fmt.Sprintf(`document.body.dataset.worker !== "%d" && document.getElementById("state").textContent === "2 people"`, before))
	}
	ben.say("Ben", "Nothing at all")
	anna.hears("Nothing at all")

	want := []string{"Anna: Is anybody here?", "Ben: <b>Me</b> & my horse", "Anna: Do you notice anything?", "Ben: Nothing at all"}
	for name, p := range map[string]person{"Anna": anna, "Ben": ben} {
		p.Until(`document.querySelectorAll(".waiting").length === 0`)
		if got := p.lines(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s sees %q, want %q", name, got, want)
		}
	}
	if file := os.Getenv("CHAT_SCREENSHOT"); file != "" {
		anna.Screenshot(file)
	}
	s := chat.WaitFor("two websockets in the new worker, four in all", func(s stats.Snapshot) bool {
		return s.Workers[0].PID != before && s.Workers[0].Upgraded == 2 && s.Workers[0].Upgrades == 4
	})
	for _, c := range s.Workers[0].Cores {
		if c.InRequest != 0 {
			t.Errorf("core %d is busy; a websocket holds no slot", c.ID)
		}
	}
}

// behindNginx runs the chat and nginx from their own files, and gives the address of the
// page.
func behindNginx(t *testing.T) (chat *servertest.Instance, url string) {
	t.Helper()
	chat = startChat(t)
	port := servertest.Port(t)
	conf := replaced(t, "nginx.conf", "127.0.0.1:8000", "unix:"+chat.Dir+"/uwsgi", "127.0.0.1:8080", fmt.Sprintf("127.0.0.1:%d", port))
	servertest.Nginx(t, port, conf)
	return chat, fmt.Sprintf("http://127.0.0.1:%d/", port)
}

// person is somebody in front of a page.
type person struct {
	*servertest.Tab
	t *testing.T
}

// say types into the form and sends it.
func (p person) say(name, text string) {
	p.t.Helper()
	set := func(field, value string) string {
		v, _ := json.Marshal(value) // a JSON string is a JavaScript string
		return fmt.Sprintf("document.getElementById(%q).value = %s;", field, v)
	}
	p.Run(nil, set("name", name)+set("text", text)+`document.getElementById("say").requestSubmit()`)
}

func (p person) hears(text string) {
	p.t.Helper()
	v, _ := json.Marshal(text)
	p.Until(fmt.Sprintf(`[...document.querySelectorAll("#lines p")].some((p) => p.textContent === %s)`, v))
}

// lines is what the page shows, without its own notes.
func (p person) lines() (lines []string) {
	p.t.Helper()
	p.Run(&lines, `[...document.querySelectorAll("#lines li:not(.note)")].map((li) => li.querySelector("b").textContent + ": " + li.querySelector("p").textContent)`)
	return lines
}
