package config

import (
	"encoding"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// input is one value of the file on its way into the Config.
type input struct {
	p    *parser
	path string
	val  any
}

// put checks a value and stores it, or reports what is wrong with it.
type put func(in input)

func (in input) errorf(format string, args ...any) {
	in.p.report(in.p.at.find(in.path), in.path, format, args...)
}

func (in input) want(what string) { in.errorf("want %s, have %s", what, describe(in.val)) }

func describe(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("the string %q", v)
	case int64:
		return fmt.Sprintf("the number %d", v)
	case float64:
		return fmt.Sprintf("the number %v", v)
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		return "a date"
	case []any, []map[string]any:
		return "an array"
	}
	return "a table"
}

func yesNo(dst *bool) put {
	return func(in input) {
		v, ok := in.val.(bool)
		if !ok {
			in.want("true or false without quotes")
			return
		}
		*dst = v
	}
}

func whole(dst *int, low, high int64) put {
	return func(in input) {
		v, ok := in.val.(int64)
		switch {
		case !ok:
			in.want(fmt.Sprintf("a whole number, %d to %d", low, high))
		case v < low:
			in.errorf("%d is too few, want %d to %d", v, low, high)
		case v > high:
			in.errorf("%d is too many, want %d to %d", v, low, high)
		default:
			*dst = int(v)
		}
	}
}

// text gives the value as a string that can be an argument of a system call.
func (in input) text() (string, bool) {
	v, ok := in.val.(string)
	switch {
	case !ok:
		in.want("a string")
	case v == "":
		in.errorf("empty; leave the key out to have the default")
	case strings.Contains(v, "\x00"):
		in.errorf("contains a NUL byte")
	default:
		return v, true
	}
	return "", false
}

func text(dst *string) put {
	return func(in input) {
		if v, ok := in.text(); ok {
			*dst = v
		}
	}
}

func word(dst *string, allowed ...string) put {
	return func(in input) {
		v, ok := in.text()
		switch {
		case ok && !slices.Contains(allowed, v):
			in.errorf("%q is not one of %s", v, strings.Join(allowed, ", "))
		case ok:
			*dst = v
		}
	}
}

// abs gives the value as an absolute path.
func (in input) abs(base string) (string, bool) {
	v, ok := in.text()
	if !ok {
		return "", false
	}
	if why := notExpanded(v); why != "" {
		in.errorf("%s", why)
		return "", false
	}
	return absolute(base, v), true
}

// notExpanded catches what a shell or uWSGI would have replaced: as a file name it would
// quietly make a folder called "~".
func notExpanded(path string) string {
	switch {
	case path == "~" || strings.HasPrefix(path, "~/"):
		return "\"~\" is not expanded, write the whole path"
	case strings.HasPrefix(path, "$"):
		return "variables are not expanded, write the whole path"
	case strings.Contains(path, "%("):
		return "uWSGI's %(...) placeholders are not expanded, write the whole path"
	}
	return ""
}

// folder is a path relative to the file itself: chdir, which all others are relative to.
func folder(dst *string) put {
	return func(in input) {
		if v, ok := in.abs(in.p.dir); ok {
			*dst = v
		}
	}
}

// ownFile is a path that nothing else may be.
func ownFile(dst *string) put {
	return func(in input) {
		if v, ok := in.abs(in.p.base); ok {
			*dst = v
			in.p.files = append(in.p.files, file{path: in.path, name: v, kind: ownFileOnly})
		}
	}
}

func logFile(dst *string) put {
	return func(in input) {
		if _, isBool := in.val.(bool); isBool {
			in.want("the path of a log file")
		} else if v, ok := in.abs(in.p.base); ok {
			*dst = v
			in.p.files = append(in.p.files, file{path: in.path, name: v, kind: sharedLog})
		}
	}
}

// logTarget is a log file or a standard stream.
func logTarget(dst *string) put {
	toFile := logFile(dst)
	return func(in input) {
		v, _ := in.val.(string)
		if v == "stderr" || v == "stdout" {
			*dst = v
			return
		}
		if scheme, _, ok := strings.Cut(v, ":"); ok && !strings.ContainsAny(scheme, "/.") {
			in.errorf("%q is not a path; uWSGI's log plugins do not exist here, want a path, \"stderr\" or \"stdout\"", v)
			return
		}
		toFile(in)
	}
}

// each calls f for a single value or for each element of an array.
func (in input) each(f func(input)) {
	list, ok := in.val.([]any)
	if !ok {
		f(in)
		return
	}
	if len(list) == 0 {
		in.errorf("an empty array; leave the key out to have the default")
	}
	for i, v := range list {
		f(input{p: in.p, path: index(in.path, i), val: v})
	}
}

func paths(dst *[]string) put {
	return func(in input) {
		*dst = nil
		in.each(func(in input) {
			if v, ok := in.abs(in.p.base); ok {
				*dst = append(*dst, v)
			}
		})
	}
}

// requestPaths are paths as handlers see them in a request, not of files.
func requestPaths(dst *[]string) put {
	return func(in input) {
		*dst = nil
		in.each(func(in input) {
			v, ok := in.text()
			switch {
			case ok && (v[0] != '/' || strings.ContainsAny(v, "?#")):
				in.errorf("%q is not the path of a request, such as \"/healthz\"", v)
			case ok:
				*dst = append(*dst, v)
			}
		})
	}
}

// parsed stores a string by the type's own rules.
func (in input) parsed(dst encoding.TextUnmarshaler, want string) bool {
	v, ok := in.val.(string)
	if !ok {
		in.want(want)
		return false
	}
	if err := dst.UnmarshalText([]byte(v)); err != nil {
		in.errorf("%v", err)
		return false
	}
	return true
}

func duration(dst *Duration, atLeast Duration) put {
	return func(in input) {
		if v, ok := in.val.(int64); ok {
			in.val = strconv.FormatInt(v, 10) + "s" // whole seconds, as in uWSGI
		}
		var d Duration
		switch ok := in.parsed(&d, `a duration such as "30s", or whole seconds`); {
		case ok && d < atLeast:
			in.errorf("%s is too short, want at least %s", d, atLeast)
		case ok:
			*dst = d
		}
	}
}

func size(dst *Size) put {
	return func(in input) {
		switch v, ok := in.val.(int64); {
		case ok && v == 0:
			*dst = 0
		case ok:
			in.errorf("%d needs a unit: write \"%dB\", or KiB, MiB, GiB", v, v)
		default:
			in.parsed(dst, `a size such as "20MiB"`)
		}
	}
}
