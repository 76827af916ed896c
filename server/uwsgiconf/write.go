package uwsgiconf

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed17661985/ostler/server/config"
)

// maxRounds is how often what config.Parse objects to is left out, before somebody has
// to look. Only rules between keys need a second round.
const maxRounds = 50

// write makes the text. Whatever config.Parse would refuse in it becomes a comment with
// Parse's reason, so that all values are judged by the one judge there is.
func (t *translator) write(target string) (Result, error) {
	for range maxRounds {
		t.nameModule()
		p := t.page()
		_, err := config.Parse(target, []byte(p.text()))
		objections, _ := errors.AsType[config.Errors](err)
		left, err := t.object(p, objections)
		if err != nil {
			return Result{}, err
		}
		if left == 0 {
			return t.result(p), nil
		}
	}
	return Result{}, fmt.Errorf("%s: too many options that do not fit together, remove some", t.top.path)
}

// object leaves out what Parse objects to, and tells how much that was.
func (t *translator) object(p *page, objections config.Errors) (n int, err error) {
	for _, o := range objections {
		var it *item
		if 0 < o.Line && o.Line <= len(p.owner) {
			it = p.owner[o.Line-1]
		}
		switch {
		case it != nil && it.lives():
			it.leaveOut(p.inSource(o.Msg))
			n++
		case it == nil && o.Key == "socket" && !t.serves():
			// Nothing to serve on: the caller is told by Result.
		case it == nil:
			return 0, fmt.Errorf("%s: what was made of it is of no use: %w", t.top.path, o)
		}
	}
	return n, nil
}

// inSource names lines of the source where a message names lines of this text, which
// nobody will see.
func (p *page) inSource(msg string) string {
	return regexp.MustCompile(`on line \d+`).ReplaceAllStringFunc(msg, func(on string) string {
		n, err := strconv.Atoi(strings.TrimPrefix(on, "on line "))
		if err != nil || n < 1 || n > len(p.owner) || p.owner[n-1] == nil {
			return on
		}
		return "in " + p.owner[n-1].where()
	})
}

func (t *translator) serves() bool { return t.has("socket", "http-socket", "https-socket") }

func (t *translator) result(p *page) Result {
	r := Result{TOML: []byte(p.text()), Serves: t.serves()}
	r.Carried, r.Replaced, r.LeftOut = t.counts()
	return r
}

func (t *translator) counts() (carriedOver, replacedBy, out int) {
	for _, it := range t.items {
		switch it.verdict {
		case carried:
			carriedOver++
		case replaced:
			replacedBy++
		case leftOut:
			out++
		}
	}
	return carriedOver, replacedBy, out
}

// page is the text with the item that each line is there for.
type page struct {
	lines []string
	owner []*item
}

func (p *page) text() string { return strings.Join(p.lines, "\n") + "\n" }

func (p *page) add(it *item, line string) {
	p.lines, p.owner = append(p.lines, line), append(p.owner, it)
}

// gap is an empty line, but never two.
func (p *page) gap() {
	if n := len(p.lines); n > 0 && p.lines[n-1] != "" {
		p.add(nil, "")
	}
}

// comment writes any text as one comment line.
func (p *page) comment(text string) {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	p.add(nil, strings.TrimRight("# "+clean, " "))
}

// short keeps a value of thousands of bytes from being a comment.
func short(v string) string {
	const most = 200
	if len(v) <= most {
		return v
	}
	v = v[:most]
	for !utf8.ValidString(v) && len(v) > most-utf8.UTFMax {
		v = v[:len(v)-1]
	}
	return v + " ..."
}

func (t *translator) page() *page {
	p := &page{}
	t.header(p)
	printed := map[string]bool{}
	for _, it := range t.items {
		if it.gap {
			p.gap()
		}
		for _, c := range it.above {
			if c == "" {
				p.gap()
			} else {
				p.comment(c)
			}
		}
		if it.key != "" {
			t.print(p, it, printed)
		}
	}
	t.tail(p)
	return p
}

func (t *translator) header(p *page) {
	c, r, l := t.counts()
	p.comment(fmt.Sprintf("Made by ostler import from %s: %d carried over, %d replaced, %d left out.", filepath.Base(t.top.path), c, r, l))
	p.comment("What is replaced or left out is a comment with the reason. Judge it, then ask the program: PROGRAM check --config THIS-FILE")
	if !t.serves() {
		p.comment("NOTHING TO SERVE ON: set socket (uwsgi, behind nginx) or http-socket before the first table.")
	}
	for _, d := range []struct{ key, text string }{
		{"processes", "processes is not set: one for each CPU here, 1 in uWSGI."},
		{"threads", "threads is not set: 64 requests at once in each worker here, 1 in uWSGI."},
	} {
		if !t.has(d.key) {
			p.comment(d.text)
		}
	}
	p.gap()
}

func (t *translator) print(p *page, it *item, printed map[string]bool) {
	if it.verdict != carried {
		p.comment(it.source() + " (" + it.where() + ")")
		p.comment("  " + it.headline(printed))
	}
	switch {
	case !it.lives():
	case it.table:
		p.elsewhere(it, "stands at the end, below "+it.tableHeader())
	case !it.list:
		p.add(it, it.to+" = "+it.toml+it.remark())
		t.companion(p, it)
	case printed[it.to]:
		p.elsewhere(it, "is in the list above")
	default:
		printed[it.to] = true
		t.array(p, it.to)
	}
}

// elsewhere is for an option that counts, but not here; it is enough to say so once.
func (p *page) elsewhere(it *item, where string) {
	text := it.source() + " (" + it.where() + ") " + where
	if it.verdict == carried && p.lines[len(p.lines)-1] != "# "+text {
		p.comment(text)
	}
}

// source is the option as it stood there.
func (it *item) source() string {
	if it.raw == "" {
		return it.key
	}
	return it.key + " = " + short(it.raw)
}

func (it *item) headline(printed map[string]bool) string {
	switch {
	case it.verdict == leftOut:
		return "left out: " + it.why
	case it.lives() && it.list && printed[it.to]:
		return "replaced: " + it.why + " (in the list above)"
	}
	return "replaced: " + it.why
}

// remark is the comment behind a value that is not what the source has.
func (it *item) remark() string {
	var parts []string
	changed := it.raw != it.value || it.note != "" && it.toml != quote(it.raw)
	if changed && it.verdict == carried {
		parts = append(parts, it.where()+": "+it.source())
	}
	if it.note != "" {
		parts = append(parts, it.note)
	}
	if len(parts) == 0 {
		return ""
	}
	var q page
	q.comment(strings.Join(parts, "; "))
	return "  " + q.lines[0]
}

// array writes all items of a list, in one line if there is one.
func (t *translator) array(p *page, key string) {
	var all []*item
	for _, it := range t.items {
		if it.lives() && it.list && it.to == key {
			all = append(all, it)
		}
	}
	if len(all) == 1 {
		p.add(all[0], key+" = "+all[0].toml+all[0].remark())
	} else {
		p.add(nil, key+" = [")
		for _, it := range all {
			p.add(it, "    "+it.toml+","+it.remark())
		}
		p.add(nil, "]")
	}
	if key == "socket" && reachable(all) && !t.has("allow-from") {
		p.add(all[0], `allow-from = ["127.0.0.0/8", "::1/128"]  # uWSGI lets everybody in; add the proxies on other machines`)
	}
}

// reachable reports a uwsgi socket that other machines can connect to, which config.Parse
// accepts only with a word about who may.
func reachable(all []*item) bool {
	for _, it := range all {
		a, err := config.ParseAddress(strings.Trim(it.toml, `"`))
		if err == nil && !a.IsLoopback() {
			return true
		}
	}
	return false
}

// companion keeps requests in the log where uWSGI has them.
func (t *translator) companion(p *page, it *item) {
	if it.to == "logto" && !t.has("req-logger") {
		p.add(it, "req-logger = "+it.toml+"  # uWSGI logs requests there too")
	}
}

func (it *item) tableHeader() string {
	if it.to == "env" {
		return "[env]"
	}
	return "[[" + it.to + "]]"
}

// tail writes the tables, in the order of their first item and [env] last.
func (t *translator) tail(p *page) {
	for _, key := range []string{"https-socket", "mount", "env"} {
		started := false
		for _, it := range t.items {
			if !it.lives() || !it.table || it.to != key {
				continue
			}
			if key != "env" || !started {
				p.gap()
				p.add(it, it.tableHeader())
			}
			started = true
			for i, row := range it.rows {
				if i == len(it.rows)-1 {
					row += it.remark()
				}
				p.add(it, row)
			}
		}
	}
}
