package uwsgiconf

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// block is a loop or a condition that is open. They do not nest, in uWSGI neither.
type block struct {
	at    place
	key   string
	words []string // each stands for %(_) once
	why   string   // for a condition that does not hold

	literal bool // %(_) stands for itself
}

func isEnd(key string) bool {
	return slices.Contains([]string{"end", "endfor", "end-for", "endif", "end-if"}, key)
}

func isLogic(key string) bool {
	return strings.HasPrefix(key, "if-") || isLoop(key) || slices.Contains([]string{"ifenv", "ifexists", "ifplugin", "ifdir"}, key)
}

func isLoop(key string) bool {
	return slices.Contains([]string{"for", "for-glob", "for-times", "for-readline"}, key)
}

func (b *block) closedBy() string {
	if isLoop(b.key) {
		return "\"endfor =\" behind its last option"
	}
	return "\"endif =\" behind its last option"
}

// each gives the option once for each word of a loop: uWSGI repeats line by line, and only
// values.
func (b *block) each(e *expander, o option, f func(option)) {
	if b.why != "" {
		o.notHere = b.why
		f(o)
		return
	}
	for i, w := range b.words {
		again := o
		if i > 0 {
			again.above, again.gap = nil, false
		}
		if !b.literal {
			again.value = e.replace(o, o.value, "%(", func(name string) (string, bool) { return w, name == "_" })
		}
		f(again)
		if len(e.errs) > 0 {
			return
		}
	}
}

// begin opens a block. What it asks for is taken as it stands: uWSGI expands neither
// %(option) nor $(NAME) there.
func (e *expander) begin(o option) {
	if e.open != nil {
		e.report(o.at, o.key, "stands inside of "+e.open.key+", which uWSGI refuses too: close that one before")
		return
	}
	e.carry = comments{o.above, o.gap}
	e.open = &block{at: o.at, key: o.key}
	if o.notHere != "" {
		e.report(o.at, o.key, o.notHere)
		return
	}
	if isLoop(o.key) {
		if e.open.words = e.loop(o, o.value); len(e.open.words) == 0 {
			e.open.why = strings.TrimSpace(o.key+" = "+o.raw) + " has no round on this machine"
		}
		return
	}
	value, holds := e.holds(o, o.value)
	e.open.words = []string{value}
	e.open.literal = slices.Contains([]string{"if-not-env", "if-not-opt", "if-reload", "if-not-reload"}, o.key)
	if holds {
		return
	}
	e.open.why = strings.TrimSpace(o.key+" = "+o.raw) + " does not hold on this machine"
	if strings.Contains(o.value, "%(") || strings.Contains(o.value, "$(") {
		e.open.why += ", as uWSGI expands nothing in it"
	}
}

func (e *expander) loop(o option, subject string) (words []string) {
	switch o.key {
	case "for":
		words = strings.FieldsFunc(subject, func(r rune) bool { return r == ' ' })
	case "for-glob":
		found, err := e.sys.Glob(subject)
		if err != nil {
			e.report(o.at, o.key, err.Error())
		}
		words = found
	case "for-times":
		n, _ := whole(subject)
		for i := range min(n, maxOptions+1) {
			words = append(words, strconv.FormatInt(i+1, 10))
		}
	case "for-readline":
		text, _ := e.contents(o, subject)
		for line := range strings.SplitSeq(text, "\n") {
			words = append(words, strings.TrimSpace(line))
		}
	}
	if len(words) > maxOptions {
		e.report(o.at, o.key, "more than "+strconv.Itoa(maxOptions)+" rounds, this is not a configuration")
		return nil
	}
	return words
}

// holds also gives what %(_) stands for.
func (e *expander) holds(o option, subject string) (value string, ok bool) {
	kind := strings.TrimPrefix(strings.TrimPrefix(o.key, "if"), "-")
	kind, not := strings.CutPrefix(kind, "not-")
	value, ok, known := e.test(o, kind, subject)
	if !known {
		e.report(o.at, o.key, "this condition is not known: decide it yourself, and leave only what counts")
	}
	return value, ok != not
}

func (e *expander) test(o option, kind, subject string) (value string, ok, known bool) {
	switch kind {
	case "env":
		return equals(subject, e.sys.LookupEnv)
	case "opt":
		return equals(subject, e.optionValue)
	case "exists":
		return subject, e.sys.exists(subject), true
	case "file", "dir", "directory":
		info, err := e.sys.Stat(subject)
		return subject, err == nil && info.IsDir() == (kind != "file"), true
	case "hostname":
		return subject, subject == e.sys.Hostname, true
	case "hostname-match":
		re, err := regexp.Compile(subject)
		if err != nil {
			e.report(o.at, o.key, err.Error())
			return "", false, true
		}
		return subject, re.MatchString(e.sys.Hostname), true
	case "reload", "plugin": // a first start, without plugins
		return subject, false, true
	}
	return "", false, false
}

// equals tests NAME, which has to be there, or NAME=value.
func equals(subject string, lookup func(string) (string, bool)) (value string, ok, known bool) {
	name, want, exact := strings.Cut(subject, "=")
	value, ok = lookup(name)
	return value, ok && (!exact || value == want), true
}

// relative reports a path that depends on a folder.
func relative(path string) bool {
	return path != "" && !filepath.IsAbs(path) && path[0] != '@'
}
