package config

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// maxFaults ends the search for further syntax errors in what is perhaps not TOML at all.
const maxFaults = 20

// Parse checks a configuration text. The name is where it came from: it is printed in
// errors, and relative paths are resolved against its folder. Every error it returns is
// an Errors.
func Parse(name string, src []byte) (Config, error) {
	p := newParser(name)
	c := p.config(src)
	if len(p.errs) > 0 {
		p.errs.sort()
		return Config{}, p.errs
	}
	return c, nil
}

// parser collects what is known about one text while it becomes a Config.
type parser struct {
	name, file string // as given; absolute
	dir, base  string // folder of the file; what relative paths are relative to
	at         *layout
	keys       map[string]bool // paths in the file, also those in statements with errors
	broken     bool            // some of the text was not TOML: what is missing may be there
	errs       Errors

	listeners []listener
	files     []file
	public    []file // folders that everybody may read
}

// listener is an address of the file that something will be bound to.
type listener struct {
	path, what string
	addr       Address
	cert, key  string // of https
}

// file is a path of the file that must not serve two purposes.
type file struct {
	path, name string
	kind       fileKind
}

type fileKind int

const (
	ownFileOnly fileKind = iota + 1
	sharedLog            // several logs may go to one file
	socketFile           // two sockets are compared as addresses
	pemFile              // sockets may share one, and certificate and key may be in one
)

func newParser(name string) *parser {
	return &parser{name: name, keys: map[string]bool{}}
}

// config makes what can be made of a text. It is to be believed only without errors.
func (p *parser) config(src []byte) Config {
	if !p.readable(src) {
		return Config{}
	}
	tree := p.tree(string(src))
	p.setBase(tree)
	c := defaults()
	c.File = p.file
	p.fill(&c, tree)
	p.unknown(&c, tree)
	p.rules(&c)
	return c
}

// defaults is the Config of an empty file. It comes from the same rows as the
// documentation, so that the two cannot differ.
func defaults() Config {
	var c Config
	var text strings.Builder
	for _, o := range options(&c) {
		if o.def != "" {
			text.WriteString(o.key + " = " + o.def + "\n")
		}
	}
	p := newParser("")
	p.fill(&c, p.tree(text.String()))
	return c
}

func (p *parser) report(line int, key, format string, args ...any) {
	p.errs = append(p.errs, &Error{File: p.name, Line: line, Key: key, Msg: fmt.Sprintf(format, args...)})
}

// readable refuses what cannot be a configuration at all, and settles where the file is.
func (p *parser) readable(src []byte) bool {
	abs, err := filepath.Abs(p.name)
	switch {
	case err != nil:
		p.report(0, "", "find the working directory: %v", err)
	case len(src) > maxFile:
		p.report(0, "", "larger than %s, this is not a configuration", Size(maxFile))
	case !utf8.ValidString(abs):
		// JSON would change it on the way to the workers.
		p.report(0, "", "the path of the file is not UTF-8")
	}
	p.file, p.dir = abs, filepath.Dir(abs)
	return p.errs == nil
}

// tree decodes the text. TOML stops at its first error, so a statement with an error is
// noted, blanked out (line numbers stay) and the rest is read again.
func (p *parser) tree(src string) map[string]any {
	lines := strings.SplitAfter(src, "\n")
	for range maxFaults {
		tree, err := p.decode(strings.Join(lines, ""))
		if err == nil {
			return tree
		}
		p.broken = true
		if !p.fault(lines, err) {
			return nil
		}
	}
	return nil
}

// decode scans anew each time: behind a value that was not closed, the scanner had taken
// the next statements for a part of it.
func (p *parser) decode(src string) (map[string]any, error) {
	p.at = scan(src)
	for path := range p.at.line {
		p.keys[path] = true
	}
	if p.at.tooDeep > 0 {
		return nil, tooDeepError(p.at.tooDeep)
	}
	tree := map[string]any{}
	_, err := toml.Decode(src, &tree)
	return tree, err
}

func tooDeepError(line int) error {
	return toml.ParseError{
		Message:  fmt.Sprintf("nested more than %d levels deep", maxDepth),
		Position: toml.Position{Line: line},
	}
}

// fault reports a syntax error and blanks its statement. It reports whether there was
// anything to blank, because only then does reading again lead anywhere.
func (p *parser) fault(lines []string, err error) bool {
	parse, ok := errors.AsType[toml.ParseError](err)
	if !ok {
		p.report(1, "", "%v", err)
		return false
	}
	last := min(max(parse.Position.Line, 1), len(lines))
	// An error at the end of the text is a value that was never closed.
	for last > 1 && strings.TrimSpace(lines[last-1]) == "" {
		last--
	}
	st, ok := p.at.at(last)
	if !ok {
		st = statement{first: last}
	}
	msg := parse.Message
	if first := p.at.line[st.path]; strings.Contains(msg, "already been defined") && first < st.first {
		msg = fmt.Sprintf("given twice, first on line %d", first)
	}
	p.report(last, st.path, "%s", msg)
	// A value that was not closed swallows the next statement, which is innocent.
	if last > st.first && looksLikeStatement(lines[last-1]) {
		last--
	}
	return blankOut(lines[st.first-1 : last])
}

func looksLikeStatement(line string) bool {
	line = strings.TrimSpace(line)
	key, _, ok := strings.Cut(line, "=")
	return strings.HasPrefix(line, "[") || ok && key != "" && strings.Trim(strings.TrimSpace(key), "abcdefghijklmnopqrstuvwxyz-") == ""
}

func blankOut(lines []string) bool {
	found := false
	for i, l := range lines {
		found = found || strings.TrimSpace(l) != ""
		lines[i] = "\n"
	}
	return found
}

// setBase comes before any path is read. A chdir of the wrong type is reported later,
// with the others.
func (p *parser) setBase(tree map[string]any) {
	p.base = p.dir
	if dir, ok := tree["chdir"].(string); ok {
		p.base = absolute(p.dir, dir)
	}
}

func absolute(base, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

func (p *parser) fill(c *Config, tree map[string]any) {
	for _, o := range options(c) {
		if v, ok := tree[o.key]; ok {
			o.put(input{p: p, path: o.key, val: v})
		}
	}
	p.order(c)
}

// order makes the list of sockets. The schema has all uwsgi sockets before all http ones;
// the file's order is the user's, and others number the sockets by it.
func (p *parser) order(c *Config) {
	type placed struct {
		Socket
		line int
	}
	var all []placed
	for _, l := range p.listeners {
		switch l.what {
		case "uwsgi", "http", "https":
			s := Socket{Proto: l.what, Address: l.addr, Cert: l.cert, Key: l.key}
			all = append(all, placed{s, p.at.find(l.path)})
		}
	}
	slices.SortStableFunc(all, func(a, b placed) int { return a.line - b.line })
	for _, s := range all {
		c.Sockets = append(c.Sockets, s.Socket)
	}
}

func (p *parser) unknown(c *Config, tree map[string]any) {
	known := map[string]bool{}
	for _, o := range options(c) {
		known[o.key] = true
	}
	for _, k := range slices.Sorted(maps.Keys(tree)) {
		if !known[k] {
			path := child("", k)
			_, isTable := tree[k].(map[string]any)
			p.report(p.at.find(path), path, "%s", whyUnknown(k, isTable))
		}
	}
}

// given reports whether the file has the key, valid or not.
func (p *parser) given(key string) bool { return p.keys[key] }
