package config

import (
	"fmt"
	"strings"
)

// whyUnknown answers a key that is no option of this version.
func whyUnknown(key string, isTable bool) string {
	if key == otherName {
		return didYouMean("processes")
	}
	if answer, ok := findForeign(key); ok {
		return "unknown key: uWSGI's option is " + answer
	}
	if near := Nearest(key); near != "" {
		return didYouMean(near)
	}
	if isTable {
		return "unknown table; all options but env, mount and https-socket stand at the top of the file, without a [header]"
	}
	return "unknown key"
}

// Known reports whether a file may have this key.
func Known(key string) bool { return isKey(key) }

// Foreign says what becomes of an option of uWSGI that is no key here, in the words that
// Parse refuses it with.
func Foreign(option string) (answer string, ok bool) {
	return findForeign(option)
}

// otherName is what half of uWSGI's users write for processes.
const otherName = "workers"

func didYouMean(key string) string { return fmt.Sprintf("unknown key (did you mean %q?)", key) }

// Nearest is the known key that is most like a misspelt one, or "".
func Nearest(key string) string {
	key = strings.ReplaceAll(strings.ToLower(key), "_", "-")
	best, least := "", max(1, len(key)/3)+1
	try := func(known string) {
		if strings.HasSuffix(known, "*") {
			return
		}
		d := distance(key, known)
		if len(key) > 3 && strings.HasPrefix(known, key+"-") {
			d = min(d, 1) // "chmod" is most likely chmod-socket
		}
		if d < least {
			best, least = known, d
		}
	}
	var c Config
	for _, o := range options(&c) {
		try(o.key)
	}
	if distance(key, otherName) < least {
		return "processes"
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that
// make b from a.
func distance(a, b string) int {
	if len(a) > len(b)+8 {
		return len(a) // hopeless, and perhaps as long as the file
	}
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
