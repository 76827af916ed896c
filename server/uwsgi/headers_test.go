package uwsgi

import (
	"fmt"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestHeaderListIsAnOrdinaryHeader(t *testing.T) {
	for _, n := range []int{0, 1, 8, 9, usualHeaders, usualHeaders + 1, 100} {
		for _, keys := range []int{1, 2, 7, 100} {
			var list headerList
			want := make(http.Header)
			for i := range n {
				key, value := fmt.Sprint("K", i%keys), fmt.Sprint(i)
				list.add(key, value)
				want.Add(key, value)
			}
			var values [usualHeaders]string
			if got := list.header(values[:]); !reflect.DeepEqual(got, want) {
				t.Errorf("%d values of %d keys: %v, want %v", n, keys, got, want)
			}
		}
	}
}

func TestHeaderValuesDoNotShareRoom(t *testing.T) {
	var list headerList
	for _, key := range []string{"A", "B", "C"} {
		list.add(key, key)
	}
	var values [usualHeaders]string
	h := list.header(values[:])
	for _, key := range []string{"A", "B", "C"} {
		h.Add(key, "more")
	}
	for key, got := range h {
		if !slices.Equal(got, []string{key, "more"}) {
			t.Errorf("%s: %q after each had a value added", key, got)
		}
	}
}

func TestDroppedHeaderLeavesTheOthers(t *testing.T) {
	var list headerList
	for i := range 3 * usualHeaders {
		list.add([]string{"Keep", "Drop", "Last"}[i%3], fmt.Sprint(i))
	}
	list.drop("Drop")
	h := list.header(nil)
	if len(h) != 2 || len(h["Keep"]) != usualHeaders || len(h["Last"]) != usualHeaders || h["Last"][1] != "5" {
		t.Errorf("left: %v", h)
	}
}

// oneHeader is the header that HTTP_name=value becomes, if any.
func oneHeader(room int, name, value string) (http.Header, error) {
	var mem strings.Builder
	mem.Grow(len("block") + room)
	mem.WriteString("block")
	var c cgi
	c.sort(&mem, "HTTP_"+name, value)
	if got := mem.String(); got[:5] != "block" {
		return nil, fmt.Errorf("the block is %q now", got)
	}
	return c.headers.header(nil), c.invalid
}

// The lists in intern.go are constants: each must be what the rule makes of its name.
func TestListedHeadersAreCanonical(t *testing.T) {
	src, err := os.ReadFile("intern.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := regexp.MustCompile(`case "(.*)":\n\t\treturn "(.*)"`).FindAllStringSubmatch(string(src), -1)
	if len(listed) < 30 || len(listed) != strings.Count(string(src), "\tcase \"") {
		t.Fatalf("%d entries found", len(listed))
	}
	for _, m := range listed {
		name, key := m[1], m[2]
		if want := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")); key != want {
			t.Errorf("%s is %s, want %s", name, key, want)
		}
		found := plainHeader(name)
		if found == "" {
			found = specialHeader(name)
		}
		if found != key {
			t.Errorf("%s is listed where it is not looked for: found %q", name, found)
		}
		// A plain header goes past the rules for the others: it must be one that they let
		// pass. With its first letter in lower case no list knows it.
		if h, err := oneHeader(spare, strings.ToLower(name[:1])+name[1:], "v"); plainHeader(name) != "" && (err != nil || h.Get(key) != "v") {
			t.Errorf("%s is listed as plain and becomes %v, %v", name, h, err)
		}
	}
}

func TestHeaderNamesAreMadeCanonical(t *testing.T) {
	for _, name := range []string{
		"A", "x", "X_Y", "x-y_Z", "_", "__A", "A_", "9a", "ETAG", "WWW_AUTHENTICATE", "a!b", "X_9A", "Ä", "a b", "a:", "", "\x00", "A\x7f",
		strings.Repeat("LONG_", 100),
	} {
		want := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		if !validName(name) {
			want = ""
		}
		for _, room := range []int{0, len(name) - 1, len(name), len(name) + 1} {
			h, err := oneHeader(max(room, 0), name, "v")
			if want == "" {
				if err == nil || len(h) > 0 {
					t.Errorf("%q becomes %v", name, h)
				}
				continue
			}
			if err != nil || !reflect.DeepEqual(h, http.Header{want: {"v"}}) {
				t.Errorf("%q with room for %d: %v, %v, want %q", name, room, h, err, want)
			}
		}
	}
}
