// Package malformed is a collection of HTTP/1 inputs that no server may serve, for tests:
// request smuggling pairs, broken framing, broken heads, other protocols.
//
// It promises: the statuses and the causes are those of package strict. It knows no server.
package malformed

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed requests.txt
var text string

// Request is one input. If any of it is served that should not be, that is a request with
// "smuggled" in its path.
type Request struct {
	Name   string
	Status string // of each answer on the connection, the last of them the refusal
	Cause  string // part of what the refusal says
	Input  string
}

// Requests returns the collection.
func Requests() ([]Request, error) {
	var list []Request
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		f := strings.SplitN(line, " | ", 4)
		if len(f) != 4 {
			return nil, fmt.Errorf("requests.txt: four fields are wanted: %s", line)
		}
		input, err := strconv.Unquote(f[3])
		if err != nil {
			return nil, fmt.Errorf("requests.txt: %s: %w", f[0], err)
		}
		list = append(list, Request{Name: f[0], Status: f[1], Cause: f[2], Input: expand(input)})
	}
	return list, nil
}

// expand replaces the first {text*n} by n times the text.
func expand(s string) string {
	before, rest, _ := strings.Cut(s, "{")
	repeated, rest, _ := strings.Cut(rest, "*")
	count, after, _ := strings.Cut(rest, "}")
	n, err := strconv.Atoi(count)
	if err != nil {
		return s
	}
	return before + strings.Repeat(repeated, n) + after
}
