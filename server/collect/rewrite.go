package collect

import (
	"bytes"
	"path"
	"strings"
)

// rewriter gives a text with every reference in it replaced by what replace makes of it. What
// it does not understand it leaves alone, to the byte.
type rewriter func(text []byte, replace func(ref string) string) []byte

// rewriterFor is nil for files whose references are not known.
func rewriterFor(name string) rewriter {
	switch strings.ToLower(path.Ext(name)) {
	case ".css":
		return rewriteCSS
	case ".js", ".mjs":
		return rewriteJS
	}
	return nil
}

// mapMark is what stands before the address of a source map in a comment, after the # or,
// formerly, the @.
const mapMark = " sourceMappingURL="

// rewriteJS finds the source map, in a comment that has its line to itself.
func rewriteJS(text []byte, replace func(string) string) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(text) {
		rest, marked := bytes.CutPrefix(line, []byte("//#"+mapMark))
		if !marked {
			rest, marked = bytes.CutPrefix(line, []byte("//@"+mapMark))
		}
		ref := bytes.TrimRight(rest, " \t\r\n")
		if !marked || len(ref) == 0 || bytes.ContainsAny(ref, " \t\"'`\\") {
			out.Write(line)
			continue
		}
		out.Write(line[:len(line)-len(rest)])
		out.WriteString(replace(string(ref)))
		out.Write(rest[len(ref):])
	}
	return out.Bytes()
}

// css reads a style sheet once, from its beginning to its end.
type css struct {
	text    []byte
	at      int
	out     bytes.Buffer
	replace func(string) string
}

// rewriteCSS finds url(), @import and the source map. Strings elsewhere, and comments, are
// skipped.
func rewriteCSS(text []byte, replace func(string) string) []byte {
	c := &css{text: text, replace: replace}
	for c.at < len(c.text) {
		switch rest := c.text[c.at:]; {
		case bytes.HasPrefix(rest, []byte("/*")):
			c.comment()
		case rest[0] == '"' || rest[0] == '\'':
			c.take(stringLength(rest))
		case rest[0] == '\\':
			c.take(2)
		case hasFold(rest, "url(") && !c.insideName():
			c.take(len("url("))
			c.address()
		case hasFold(rest, "@import"):
			c.take(len("@import"))
			c.spaces()
			c.quoted()
		default:
			c.take(1)
		}
	}
	return c.out.Bytes()
}

func hasFold(text []byte, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(string(text[:len(prefix)]), prefix)
}

// take copies n bytes.
func (c *css) take(n int) {
	n = min(n, len(c.text)-c.at)
	c.out.Write(c.text[c.at : c.at+n])
	c.at += n
}

func (c *css) spaces() {
	n := len(c.text[c.at:]) - len(bytes.TrimLeft(c.text[c.at:], " \t\r\n\f"))
	c.take(n)
}

// insideName: curl(x) has nothing to do with url(x).
func (c *css) insideName() bool {
	if c.at == 0 {
		return false
	}
	b := c.text[c.at-1]
	return b == '-' || b == '_' || b >= 0x80 || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

func (c *css) comment() {
	end := len(c.text)
	if n := bytes.Index(c.text[c.at+2:], []byte("*/")); n >= 0 {
		end = c.at + 2 + n + 2
	}
	body := bytes.TrimSuffix(c.text[c.at:end], []byte("*/"))
	rest, marked := bytes.CutPrefix(body, []byte("/*#"+mapMark))
	ref := bytes.TrimRight(rest, " \t\r\n")
	if marked && len(ref) > 0 && !bytes.ContainsAny(ref, " \t\r\n\"'\\") {
		c.take(len(body) - len(rest))
		c.put(ref)
	}
	c.take(end - c.at)
}

// address is what stands between the parentheses of url().
func (c *css) address() {
	c.spaces()
	rest := c.text[c.at:]
	if len(rest) > 0 && (rest[0] == '"' || rest[0] == '\'') {
		c.quoted()
		return
	}
	end := bytes.IndexAny(rest, ") \t\r\n\f\"'(\\")
	if end > 0 && rest[end] != '\\' {
		c.put(rest[:end])
	}
}

// quoted replaces a string, if one stands here. One with an escape in it is left alone.
func (c *css) quoted() {
	rest := c.text[c.at:]
	if len(rest) == 0 || rest[0] != '"' && rest[0] != '\'' {
		return
	}
	n := stringLength(rest)
	if n < 3 || rest[n-1] != rest[0] || bytes.ContainsRune(rest[:n], '\\') {
		c.take(n)
		return
	}
	c.take(1)
	c.put(rest[1 : n-1])
	c.take(1)
}

// put writes what is instead of ref, which stands here.
func (c *css) put(ref []byte) {
	c.out.WriteString(c.replace(string(ref)))
	c.at += len(ref)
}

// stringLength is the length of the string that text begins with, its quotes included. A line
// break ends one that is not closed.
func stringLength(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case text[0]:
			return i + 1
		case '\n':
			return i
		case '\\':
			i++
		}
	}
	return len(text)
}
