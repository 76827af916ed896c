package uwsgiconf

import (
	"strconv"
	"strings"
)

// expand replaces $(ENVIRONMENT), %(option) and @(file) in a value. What cannot be
// replaced stays as it is, as in uWSGI.
func (e *expander) expand(o option, text string) string {
	text = e.replace(o, text, "$(", func(name string) (string, bool) { return e.sys.LookupEnv(name) })
	text = e.replace(o, text, "%(", e.placeholder)
	return e.replace(o, text, "@(", func(path string) (string, bool) { return e.contents(o, path) })
}

// replace calls f for what stands between the opening and the next parenthesis.
func (e *expander) replace(o option, text, opening string, f func(string) (string, bool)) string {
	if !strings.Contains(text, opening) {
		return text
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, opening)
		name, after, closed := strings.Cut(rest, ")")
		if !found || !closed {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(before)
		value, ok := f(name)
		if !ok {
			value = opening + name + ")"
		}
		if e.text += len(value) + 1; e.text > maxText {
			if len(e.errs) == 0 {
				e.report(o.at, o.key, "the placeholders make more than "+strconv.Itoa(maxText>>20)+" MiB of text, this is not a configuration")
			}
			return ""
		}
		b.WriteString(value)
		text = after
	}
}

// placeholder is the value of an option, or what numbers and options add up to, from left
// to right. Without a sign between two they are put together.
func (e *expander) placeholder(name string) (string, bool) {
	if v, ok := e.optionValue(name); ok {
		return v, true
	}
	fields := strings.Fields(name)
	sum, op := "", " "
	for i, f := range fields {
		if strings.Contains("+-*/", f) && i > 0 {
			op = f
			continue
		}
		n, ok := e.operand(f)
		if ok {
			sum, ok = calculate(sum, op, n)
		}
		if !ok {
			return "", false
		}
		op = " "
	}
	return sum, len(fields) > 1 && op == " "
}

func calculate(a, op, b string) (string, bool) {
	if op == " " {
		return a + b, true
	}
	x, errX := strconv.ParseInt(a, 10, 32)
	y, errY := strconv.ParseInt(b, 10, 32)
	if errX != nil || errY != nil || op == "/" && y == 0 {
		return "", false
	}
	switch op {
	case "+":
		x += y
	case "-":
		x -= y
	case "*":
		x *= y
	case "/":
		x /= y
	}
	return strconv.FormatInt(x, 10), true
}

// operand is a number, or an option's value.
func (e *expander) operand(word string) (string, bool) {
	if v, ok := e.optionValue(word); ok {
		return strings.TrimSpace(v), true
	}
	_, err := strconv.ParseUint(word, 10, 31)
	return word, err == nil
}

// optionValue is the value of the first option of that name, wherever it stands.
func (e *expander) optionValue(key string) (string, bool) {
	i, ok := e.first[key]
	if !ok {
		return "", false
	}
	e.used[key] = true
	v, done := e.values[key]
	if !done {
		o := e.all[i]
		e.values[key] = o.value // ends the circle of options that name each other
		v = e.expand(o, o.value)
		e.values[key] = v
	}
	return v, true
}

// contents is the text of a file without the end of its last line.
func (e *expander) contents(o option, path string) (string, bool) {
	if strings.Contains(path, "://") {
		e.report(o.at, o.key, "only files are read: put what @("+path+") gives here yourself")
		return "", false
	}
	if e.files++; e.files > maxFiles {
		e.report(o.at, o.key, "names more than "+strconv.Itoa(maxFiles)+" files with the others")
		return "", false
	}
	text, err := e.sys.read(path)
	if err != nil {
		e.report(o.at, o.key, "@("+path+"): "+err.Error())
		return "", false
	}
	return strings.TrimRight(text, "\r\n"), true
}
