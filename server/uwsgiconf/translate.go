package uwsgiconf

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed17661985/ostler/server/config"
)

// otherwise begins the answers of config.Foreign that name another key.
const otherwise = "written otherwise here: "

type verdict int

const (
	carried verdict = iota + 1
	replaced
	leftOut
)

// item is an option of the source with what becomes of it.
type item struct {
	option
	verdict verdict
	why     string // not for what is carried over

	to    string // the key that it becomes; "" for none
	toml  string // its value
	note  string // what is different about the value
	list  bool   // all items of the key count, not only the last
	table bool   // rows stand at the end of the file, below [[to]]
	rows  []string
	name  string // of the app, for module; of the variable, for env
}

func (it *item) leaveOut(why string) {
	it.verdict, it.why, it.to = leftOut, why, ""
}

func (it *item) replace(why string) { it.verdict, it.why = replaced, why }

// lives reports that the item makes something that counts.
func (it *item) lives() bool { return it.to != "" }

// translator knows the options together, as some depend on others.
type translator struct {
	top   source
	items []*item
	used  map[string]bool // names of options that placeholders have

	proto    string   // of protocol
	sharedAt []string // addresses of shared-socket
}

func newTranslator(e *expander) *translator {
	t := &translator{top: e.top, used: e.used}
	for _, o := range e.all {
		t.items = append(t.items, &item{option: o})
		switch {
		case o.notHere != "":
		case o.key == "protocol" || o.key == "socket-protocol":
			t.proto = o.value
		case o.key == "shared-socket":
			t.sharedAt = append(t.sharedAt, o.value)
		}
	}
	return t
}

func (t *translator) translate() {
	for _, it := range t.items {
		if it.key != "" {
			t.one(it)
		}
	}
	t.lastCounts()
}

func (t *translator) one(it *item) {
	r, known := findRule(it.key)
	answer, foreign := config.Foreign(it.key)
	switch {
	case it.notHere != "":
		it.leaveOut(it.notHere)
	case !utf8.ValidString(it.value):
		it.leaveOut("not UTF-8, which TOML demands")
	case it.variable || !known && t.used[it.key]:
		it.replace("a name for a value; the value stands wherever the name is used")
	case known:
		r.apply(t, it)
	case config.Known(it.key):
		t.put(it, it.key, guessed(it.value))
	case strings.HasPrefix(answer, otherwise):
		it.replace(strings.TrimPrefix(answer, otherwise))
	case foreign:
		it.leaveOut(answer)
	default:
		it.leaveOut(unheardOf(it.key))
	}
}

func unheardOf(key string) string {
	if near := config.Nearest(key); near != "" {
		return "ostler has no such key; if " + near + " is meant, uWSGI has always passed over this line"
	}
	return "ostler has no such key; it is about something that does not exist here, or a mistake that uWSGI passes over"
}

// guessed is for keys that ostler has and uWSGI has not. config.Parse judges it.
func guessed(v string) value {
	if _, err := strconv.ParseInt(v, 10, 64); err == nil && !strings.HasPrefix(v, "+") && (v == "0" || v[0] != '0') {
		return value{toml: v}
	}
	if v == "true" || v == "false" {
		return value{toml: v}
	}
	return text(v)
}

func (t *translator) put(it *item, key string, v value) {
	if v.refusal != "" {
		it.leaveOut(v.refusal)
		return
	}
	it.to, it.toml, it.note, it.verdict = key, v.toml, v.note, carried
	if strings.HasPrefix(it.value, `"`) && it.note == "" {
		it.note = "the quotes belong to the value, as in uWSGI"
	}
	if it.key != key {
		why, ok := config.Foreign(it.key)
		if !ok {
			why = "use " + key
		}
		it.replace(strings.TrimPrefix(why, otherwise))
	}
}

// lastCounts leaves one item of each key that is no list: the last, as in uWSGI, but one
// of the same name before those that only mean about the same.
func (t *translator) lastCounts() {
	winner := map[string]*item{}
	for _, it := range t.items {
		if w := winner[it.slot()]; w == nil || w.key != w.to || it.key == it.to {
			winner[it.slot()] = it
		}
	}
	for _, it := range t.items {
		if w := winner[it.slot()]; it.lives() && it.slot() != "" && w != it {
			it.leaveOut(w.beats(it))
		}
	}
}

// beats says why another item of the same slot does not count.
func (it *item) beats(other *item) string {
	if it.key == other.key {
		return "the last one counts, which is " + it.where()
	}
	return it.key + " is nearer to it: " + it.where()
}

// slot is where only one item has room, "" for those that do not compete.
func (it *item) slot() string {
	switch {
	case it.to == "env":
		return "env." + it.name
	case it.list || it.table:
		return ""
	}
	return it.to
}

// has reports whether something lives that becomes one of the keys.
func (t *translator) has(keys ...string) bool {
	for _, it := range t.items {
		for _, k := range keys {
			if it.lives() && it.to == k {
				return true
			}
		}
	}
	return false
}

// where names the line of an item, for whoever has both files open.
func (it *item) where() string {
	return fmt.Sprintf("%s:%d", filepath.Base(it.at.file), it.at.line)
}
