package config

import (
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxDepth bounds nesting and dotted keys. The schema needs two; the TOML library
// recurses per level and is quadratic in the parts of a key, so deeper files never reach it.
const maxDepth = 16

// layout says where things stand in a TOML text, which the TOML library does not tell:
// it has no position for a key that nothing was decoded from, nor for array elements.
type layout struct {
	line       map[string]int // by path: "threads", "socket[1]", "env.LANG", "mount[0].path"
	statements []statement    // in file order
	tooDeep    int            // line of a value nested beyond maxDepth, 0 is none
}

// statement is one key with its value, or one table header.
type statement struct {
	path        string
	first, last int // lines
}

// child and index build paths; scanner and decoder agree on them.
func child(path, key string) string {
	if strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" || key == "" {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// find gives the line of a path, or of the nearest thing around it. What is not in the
// file at all is reported on line 1.
func (l *layout) find(path string) int {
	for path != "" {
		if n, ok := l.line[path]; ok {
			return n
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return 1
}

// at gives the statement that covers a line. Statements that share a line exist only in
// broken texts; the first is the broken one.
func (l *layout) at(line int) (statement, bool) {
	for _, s := range l.statements {
		if s.first <= line && line <= s.last {
			return s, true
		}
	}
	return statement{}, false
}

// scanner reads just enough TOML to know where keys and values begin. The TOML library
// judges the grammar: on a broken text the scanner only has to end, and to be right about
// the part before the fault.
type scanner struct {
	src    string
	pos    int
	lineNo int
	header string         // path of the table that keys belong to now
	tables map[string]int // elements seen of each array of tables
	out    *layout
}

// withoutMark drops the byte order mark that the TOML decoder drops: one of UTF-8, or
// one of UTF-16 that an editor put before a text which is none.
func withoutMark(src string) string {
	for _, mark := range []string{"\xff\xfe", "\xfe\xff", "\ufeff"} {
		if rest, ok := strings.CutPrefix(src, mark); ok {
			return rest
		}
	}
	return src
}

func scan(src string) *layout {
	src = withoutMark(src)
	s := &scanner{src: src, lineNo: 1, tables: map[string]int{}, out: &layout{line: map[string]int{}}}
	for s.blank(); s.pos < len(s.src); s.blank() {
		st := statement{first: s.lineNo}
		if s.peek() == '[' {
			st.path = s.table()
		} else {
			st.path = s.pair(s.header, 0)
		}
		s.skipLine()
		st.last = s.lineNo
		s.out.statements = append(s.out.statements, st)
	}
	return s.out
}

// peek gives 0 at the end; a NUL in the text is junk and skipped as such.
func (s *scanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

func (s *scanner) next() {
	if s.src[s.pos] == '\n' {
		s.lineNo++
	}
	s.pos++
}

// blank skips white space, newlines and comments.
func (s *scanner) blank() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.next()
		case '#':
			s.skipLine()
		default:
			return
		}
	}
}

func (s *scanner) space() {
	for c := s.peek(); c == ' ' || c == '\t'; c = s.peek() {
		s.pos++
	}
}

func (s *scanner) skipLine() {
	for s.pos < len(s.src) && s.src[s.pos] != '\n' {
		s.pos++
	}
}

func (s *scanner) mark(path string, line int) {
	if _, ok := s.out.line[path]; !ok {
		s.out.line[path] = line
	}
}

// tooDeep gives up on the line: it is reported before anything in it is looked at.
func (s *scanner) tooDeep() {
	if s.out.tooDeep == 0 {
		s.out.tooDeep = s.lineNo
	}
	s.skipLine()
}

// table reads a header and makes it the current one. A path through an array of tables
// means its latest element.
func (s *scanner) table() string {
	s.pos++
	isArray := s.peek() == '['
	if isArray {
		s.pos++
	}
	keys := s.keys()
	path := ""
	for i, k := range keys {
		path = child(path, k)
		s.mark(path, s.lineNo)
		if isArray && i == len(keys)-1 {
			s.tables[path]++
		}
		if n := s.tables[path]; n > 0 {
			path = index(path, n-1)
			s.mark(path, s.lineNo)
		}
	}
	s.header = path
	return path
}

// pair reads "key = value" below a path and returns the key's own path.
func (s *scanner) pair(path string, depth int) string {
	line := s.lineNo
	for _, k := range s.keys() {
		path = child(path, k)
		s.mark(path, line)
	}
	s.space()
	if s.peek() == '=' {
		s.pos++
		s.space()
		s.value(path, depth+1)
	}
	return path
}

// keys reads a dotted key.
func (s *scanner) keys() []string {
	var keys []string
	for {
		s.space()
		k, ok := s.key()
		if !ok {
			return keys
		}
		if len(keys) == maxDepth {
			s.tooDeep()
			return keys
		}
		keys = append(keys, k)
		s.space()
		if s.peek() != '.' {
			return keys
		}
		s.pos++
	}
}

func (s *scanner) key() (string, bool) {
	start := s.pos
	if c := s.peek(); c == '"' || c == '\'' {
		s.quoted(c)
		return unquote(s.src[start:s.pos]), true
	}
	for s.pos < len(s.src) && !strings.ContainsRune(" \t\r\n.=:[]{},#\"'", rune(s.src[s.pos])) {
		s.pos++
	}
	return s.src[start:s.pos], s.pos > start
}

// unquote leaves TOML's escapes to TOML.
func unquote(raw string) string {
	var v struct{ K string }
	if _, err := toml.Decode("K = "+raw, &v); err != nil {
		return raw
	}
	return v.K
}

func (s *scanner) value(path string, depth int) {
	s.mark(path, s.lineNo)
	if depth > maxDepth {
		s.tooDeep()
		return
	}
	switch c := s.peek(); c {
	case '[':
		n := 0
		s.list(']', func() { s.value(index(path, n), depth+1); n++ })
	case '{':
		s.list('}', func() { s.pair(path, depth) })
	case '"', '\'':
		s.quoted(c)
	default:
		for s.pos < len(s.src) && !strings.ContainsRune(",]}#\r\n", rune(s.src[s.pos])) {
			s.pos++
		}
	}
}

// list reads an array or an inline table, whose opening bracket is next.
func (s *scanner) list(end byte, item func()) {
	s.pos++
	for s.blank(); s.pos < len(s.src); s.blank() {
		switch s.peek() {
		case end:
			s.pos++
			return
		case ',':
			s.pos++
		default:
			before := s.pos
			item()
			if s.pos == before {
				s.next() // junk: whatever it is, move on
			}
		}
	}
}

// quoted skips a string of any of TOML's four kinds.
func (s *scanner) quoted(quote byte) {
	long := strings.Repeat(string(quote), 3)
	if strings.HasPrefix(s.src[s.pos:], long) {
		s.pos += 3
		s.until(quote, long)
		// A long string may end with up to two quotes of its own.
		for i := 0; i < 2 && s.peek() == quote; i++ {
			s.pos++
		}
		return
	}
	s.pos++
	s.until(quote, string(quote))
}

func (s *scanner) until(quote byte, end string) {
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; {
		case strings.HasPrefix(s.src[s.pos:], end):
			s.pos += len(end)
			return
		case c == '\n' && len(end) == 1:
			return // not closed; the grammar is the library's business
		case c == '\\' && quote == '"' && s.pos+1 < len(s.src):
			s.next()
			s.next()
		default:
			s.next()
		}
	}
}
