package config

import (
	"fmt"
	"strings"
)

// ParseEnvFile reads the text of an env-file: lines NAME=value, comments after "#" at the
// start of a line, an optional "export " in front. A value in single quotes is taken as it
// is, one in double quotes knows \n, \t, \", \\ and \$, one without quotes is taken as it
// is without the white space around it. Nothing is expanded. Every error is an Errors.
func ParseEnvFile(name string, src []byte) (map[string]string, error) {
	e := &envFile{name: name, vars: map[string]string{}, line: map[string]int{}}
	text := strings.TrimPrefix(string(src), "\ufeff")
	for i, line := range strings.Split(text, "\n") {
		e.read(i+1, strings.TrimSpace(line))
	}
	if len(e.errs) > 0 {
		return nil, e.errs
	}
	return e.vars, nil
}

type envFile struct {
	name string
	vars map[string]string
	line map[string]int // where each was set
	errs Errors
}

func (e *envFile) report(line int, key, format string, args ...any) {
	e.errs = append(e.errs, &Error{File: e.name, Line: line, Key: key, Msg: fmt.Sprintf(format, args...)})
}

func (e *envFile) read(n int, line string) {
	if line == "" || line[0] == '#' {
		return
	}
	line = strings.TrimPrefix(line, "export ")
	key, raw, ok := strings.Cut(line, "=")
	key = strings.TrimSpace(key)
	if !ok {
		// The line itself is not printed: it may be half of a secret.
		e.report(n, "", "want NAME=value")
		return
	}
	if why := badVariable(key); why != "" {
		e.report(n, key, "%s", why)
		return
	}
	value, why := envValue(strings.TrimSpace(raw))
	if why == "" && strings.Contains(value, "\x00") {
		why = "contains a NUL byte"
	}
	if first, twice := e.line[key]; why == "" && twice {
		why = fmt.Sprintf("given twice, first on line %d", first)
	}
	if why != "" {
		e.report(n, key, "%s", why)
		return
	}
	e.vars[key], e.line[key] = value, n
}

// envValue undoes the quoting, or says why that is impossible. What a shell and other
// readers of such files would take differently is refused.
func envValue(raw string) (value, why string) {
	if raw == "" || raw[0] != '"' && raw[0] != '\'' {
		if strings.Contains(raw, " #") || strings.Contains(raw, "\t#") {
			return "", "\" #\" in a value without quotes: put the value in quotes, or the comment on its own line"
		}
		return raw, ""
	}
	quote, rest := raw[0], raw[1:]
	var b strings.Builder
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == quote && i == len(rest)-1:
			return b.String(), ""
		case c == quote:
			return "", "text after the closing quote"
		case c == '\\' && quote == '"' && i+1 < len(rest):
			i++
			b.WriteString(unescape(rest[i]))
		default:
			b.WriteByte(c)
		}
	}
	return "", "the quote is not closed on this line"
}

func unescape(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 't':
		return "\t"
	case '"', '\\', '$':
		return string(c)
	}
	return `\` + string([]byte{c})
}

// badVariable says why a name cannot be set for the workers, or "".
func badVariable(name string) string {
	switch {
	case name == "":
		return "a variable needs a name"
	case strings.ContainsAny(name, "= \t\r\n\x00"):
		return "a variable's name has no white space, \"=\" or NUL"
	case name == "NOTIFY_SOCKET", strings.HasPrefix(name, "WATCHDOG_"),
		strings.HasPrefix(name, "LISTEN_"), strings.HasPrefix(name, "OSTLER_"):
		return "the server itself uses this variable and never passes it on"
	}
	return ""
}
