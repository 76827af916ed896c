package uwsgiconf

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/seed17661985/ostler/server/config"
)

// expander makes one list of options of everything that files, loops and conditions say.
type expander struct {
	sys   System
	top   source // the file that was asked for
	open  *block
	carry comments // of lines that are no options themselves
	all   []option
	errs  config.Errors

	first  map[string]int    // index in all of each key's first option: the one that %(key) means
	values map[string]string // by key, in full; a key that is being expanded has its raw text
	used   map[string]bool   // keys that a placeholder names
	text   int               // bytes that replacements made so far
	files  int
	magic  [2]map[byte]string // of this file, and of the top one
}

func newExpander(sys System) *expander {
	return &expander{sys: sys, first: map[string]int{}, values: map[string]string{}, used: map[string]bool{}}
}

// load reads one file in place of the option that names it.
func (e *expander) load(s source, from place, depth int) {
	s.locate(e.sys)
	if depth == 0 {
		e.top = s
		from = place{file: s.path}
	}
	if e.files++; depth > maxDepth || e.files > maxFiles {
		e.report(from, "", "includes too many files, or files that include each other: want at most "+strconv.Itoa(maxDepth)+" levels and "+strconv.Itoa(maxFiles)+" files")
		return
	}
	text, err := e.sys.read(s.path)
	if err != nil {
		e.report(from, includedAs(from, s), err.Error())
		return
	}
	options, err := s.options(text)
	if err != nil {
		line, key, msg := lineOf(err)
		e.report(place{s.path, line}, key, msg)
		return
	}
	before := e.magic
	e.magic[0] = e.magicOf(s)
	if depth == 0 {
		e.magic[1] = e.magic[0]
	}
	for _, o := range options {
		e.option(s, o, depth)
	}
	e.magic[0] = before[0]
}

// includedAs is the name in an error of a file that another one names.
func includedAs(from place, s source) string {
	if from.line == 0 {
		return ""
	}
	return s.path
}

// option takes one line of a file: a part of the logic, a file to include, or an option.
func (e *expander) option(s source, o option, depth int) {
	o.above, o.gap = append(e.carry.above, o.above...), e.carry.gap || o.gap
	e.carry = comments{}
	o.raw = o.value
	if unknown := e.replaceMagic(&o.value); unknown != "" {
		o.notHere = unknown + " is known only when uWSGI starts, write what it stands for"
	}
	switch {
	case o.key == "" && o.at.line > 0:
		e.report(o.at, "", "no name in front of \"=\", remove the line or give it one")
	case isEnd(o.key):
		e.open, e.carry = nil, comments{o.above, o.gap}
	case isLogic(o.key):
		e.begin(o)
	case e.open != nil:
		e.open.each(e, o, func(o option) { e.one(s, o, depth) })
	default:
		e.one(s, o, depth)
	}
}

// one takes an option that the logic let through, or that it holds back.
func (e *expander) one(s source, o option, depth int) {
	switch {
	case len(e.all) >= maxOptions:
		if len(e.errs) == 0 {
			e.report(o.at, o.key, "more than "+strconv.Itoa(maxOptions)+" options, this is not a configuration")
		}
	case o.notHere != "":
		e.add(o)
	case isInclude(o.key):
		e.include(s, o, depth)
	case isSet(o.key):
		name, value, ok := strings.Cut(o.value, "=")
		if !ok {
			e.report(o.at, o.key, "want name=value")
			return
		}
		o.variable = o.key != "set"
		o.key, o.value, o.raw = name, value, value
		e.add(o)
	default:
		e.add(o)
	}
}

func (e *expander) add(o option) {
	if _, ok := e.first[o.key]; !ok && o.notHere == "" {
		e.first[o.key] = len(e.all)
	}
	e.all = append(e.all, o)
}

func isInclude(key string) bool {
	return slices.Contains([]string{"ini", "yaml", "yml", "json", "xml", "xmlconfig", "config", "include", "inherit"}, key)
}

func isSet(key string) bool { return key == "set" || key == "set-placeholder" || key == "set-ph" }

// include resolves a relative path as uWSGI does, from the working directory; a
// configuration that was copied here has its files beside it instead.
func (e *expander) include(s source, o option, depth int) {
	clear(e.values) // what a name stands for may still change
	spec := e.expand(o, o.value)
	clear(e.values)
	switch {
	case strings.Contains(spec, "://"):
		e.report(o.at, o.key, "only files are read: save what "+spec+" gives, and name the file here")
		return
	case spec == "":
		e.report(o.at, o.key, "names no file")
		return
	case spec[0] == ':':
		spec = s.path + spec
	}
	next := source{spec: spec}
	next.locate(e.sys)
	if beside := filepath.Join(filepath.Dir(s.path), next.path); !e.sys.exists(next.path) && !filepath.IsAbs(next.path) && e.sys.exists(beside) {
		next.spec = beside + ":" + next.section
	}
	e.carry = comments{append(o.above, "from "+next.path+":"), true}
	e.load(next, o.at, depth+1)
}

// finish puts every value in full.
func (e *expander) finish() {
	if e.open != nil {
		e.report(e.open.at, e.open.key, "is not closed, add "+e.open.closedBy())
	}
	clear(e.values)
	for i := range e.all {
		o := &e.all[i]
		if o.notHere == "" {
			o.value = e.expand(*o, o.value)
		}
	}
	if len(e.carry.above) > 0 {
		e.all = append(e.all, option{above: e.carry.above, gap: e.carry.gap})
	}
}
