package uwsgi

import (
	"net/http/httptest"
	"testing"
)

func TestScriptNameIsAPrefixOrNothing(t *testing.T) {
	const none = "-" // the variable is absent
	for _, c := range []struct {
		name                 string
		modifier             uint8
		target, script, info string
		want                 string
	}{
		{"nginx", 0, "/a/b", none, "/a/b", ""},
		{"uWSGI's router", 0, "/a/b", "", "/a/b", ""},
		{"nginx with a SCRIPT_NAME", 0, "/a/b", "/a", "/a/b", "/a"},
		{"Apache", 0, "/a/b", "/a", "/b", "/a"},
		{"a slash at its end", 0, "/a/b", "/a/", "/b", "/a"},
		{"only slashes", 0, "/b", "//", "/b", ""},
		{"another host", 0, "//a/b", "//a", "/b", "/a"},
		{"lighttpd, the whole path", 0, "/a/b", "/a/b", none, ""},
		{"modifier 30 without PATH_INFO", ModifierMounted, "/a/b", "/a", none, "/a"},
		{"a location of nginx that takes more", 0, "/apple//x", "/app", "/apple/x", ""},
		{"the same with modifier 30", ModifierMounted, "/apple", "/app", none, ""},
		{"a rewrite into the mount", 0, "/pretty", "/app", "/x", "/app"},
		{"a mount within a mount of its name", 0, "/a/a", "/a", "/a", "/a"},
		{"no path", 0, "/a/b", "a", "/a/b", ""},
	} {
		r := Request{Header: Header{Modifier1: c.modifier}, Vars: Vars{{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", c.target}}}
		if c.script != none {
			r.Vars.Add("SCRIPT_NAME", c.script)
		}
		if c.info != none {
			r.Vars.Add("PATH_INFO", c.info)
		}
		packet, err := r.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		req, err := mapRequest(packet)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := ScriptName(req); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := ScriptName(httptest.NewRequest("GET", "/", nil)); got != "" {
		t.Errorf("a request of another server has the prefix %q", got)
	}
}
