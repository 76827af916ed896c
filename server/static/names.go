package static

import (
	"path"
	"strings"
	"unicode/utf8"
)

// Servable reports whether a file of that name, relative and with slashes, can be given
// out. The same names are collected: what is never served need not be copied.
//
// Whatever another reader of the name could take for something else is not servable, even
// where this system could hold a file of that name.
func Servable(name string) bool {
	if !utf8.ValidString(name) {
		return false // an overlong dot or slash, or a name in an encoding nobody knows
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || segment[0] == '.' {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' })
}

// Compressible reports whether files of that name get smaller by a good measure. Only for
// those there are compressed siblings.
func Compressible(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".css", ".js", ".mjs", ".map", ".json", ".webmanifest", ".geojson", ".html", ".htm", ".xhtml", ".xml", ".rss", ".atom",
		".svg", ".txt", ".md", ".csv", ".ics", ".vtt", ".wasm", ".ttf", ".otf", ".eot", ".ico", ".bmp":
		return true
	}
	return false
}

// hashLength is the number of hexadecimal digits in a hashed name: 48 bits.
const hashLength = 12

// HashedName puts the beginning of sum, of a file's content, into its name: css/app.css
// becomes css/app.3f2a9c01b2d4.css. A sum is in lower case hexadecimal and has at least 12
// digits.
func HashedName(name, sum string) string {
	ext := path.Ext(name)
	return strings.TrimSuffix(name, ext) + "." + sum[:hashLength] + ext
}

// looksHashed reports whether HashedName could have made the name.
func looksHashed(name string) bool {
	name = path.Base(name)
	return endsHashed(strings.TrimSuffix(name, path.Ext(name))) || endsHashed(name)
}

func endsHashed(name string) bool {
	at := len(name) - hashLength - 1
	if at < 1 || name[at] != '.' {
		return false
	}
	return strings.Trim(name[at+1:], "0123456789abcdef") == ""
}
