package uwsgiconf

import (
	"fmt"
	"math/bits"
	"path/filepath"
	"strconv"
	"strings"
)

// magicOf is what the one-letter variables mean in a file. Those in capitals mean the same
// of the first file.
func (e *expander) magicOf(s source) map[byte]string {
	full := e.sys.abs(s.path)
	base, dir := filepath.Base(full), filepath.Dir(full)
	ext := strings.TrimPrefix(filepath.Ext(base), ".")
	m := map[byte]string{
		'o': s.spec, 'p': full, 's': base,
		'e': ext, 'n': strings.TrimSuffix(base, "."+ext),
		'd': strings.TrimSuffix(dir, "/") + "/", 'c': filepath.Base(dir),
		'x': sectionName(s), 'j': fmt.Sprintf("%08X", bits.ReverseBytes32(djb33x(full))),
	}
	for i, part := range strings.Split(strings.Trim(dir, "/"), "/") {
		if i < 10 {
			m['0'+byte(i)] = part
		}
	}
	return m
}

// sectionName is empty for the section that counts without being named.
func sectionName(s source) string {
	if s.section == defaultSection {
		return ""
	}
	return s.section
}

func djb33x(text string) uint32 {
	h := uint32(5381)
	for i := range len(text) {
		h = h*33 ^ uint32(text[i])
	}
	return h
}

// replaceMagic replaces the one-letter variables. It returns the first one that only a
// running uWSGI knows; letters that mean nothing vanish, as they do there.
func (e *expander) replaceMagic(text *string) (unknown string) {
	old := *text
	var b strings.Builder
	for i := 0; i < len(old); i++ {
		if old[i] != '%' || i+1 == len(old) || old[i+1] == '(' {
			b.WriteByte(old[i])
			continue
		}
		i++
		v, ok := e.letter(old[i])
		if !ok && unknown == "" {
			unknown = old[i-1 : i+1]
		}
		b.WriteString(v)
	}
	*text = strings.TrimRight(b.String(), " \t") // some letters have no value
	return unknown
}

func (e *expander) letter(c byte) (string, bool) {
	switch c {
	case '%':
		return "%", true
	case 't', 'T', 'i', 'I', 'X', 'V', 'b':
		return "", false
	case 'v':
		return e.sys.Dir, true
	case 'h':
		return e.sys.Hostname, true
	case 'k':
		return strconv.Itoa(e.sys.CPUs), true
	case 'u':
		return e.sys.UID, true
	case 'U':
		return e.sys.User, true
	case 'g':
		return e.sys.GID, true
	case 'G':
		return e.sys.Group, true
	}
	if 'A' <= c && c <= 'Z' {
		return e.magic[1][c-'A'+'a'], true
	}
	return e.magic[0][c], true
}
