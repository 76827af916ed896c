package config

import "strings"

// later is a key that this version knows and refuses. Accepting it quietly would let an
// operator believe that requests are killed, memory is watched or TLS is spoken.
type later struct {
	key       string // a last "*" stands for any rest
	meanwhile string // what to do until it works
}

func laterKeys() []later {
	return []later{
	}
}

func findLater(key string) (later, bool) {
	for _, l := range laterKeys() {
		prefix, open := strings.CutSuffix(l.key, "*")
		if l.key == key || open && strings.HasPrefix(key, prefix) {
			return l, true
		}
	}
	return later{}, false
}
