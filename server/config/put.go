package config

import (
	"encoding"
	"fmt"
	"maps"
	"net/netip"
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

// parsed stores a string by the type's own rules.
func parsed(dst encoding.TextUnmarshaler, want string) put {
	return func(in input) {
		v, ok := in.val.(string)
		if !ok {
			in.want(want)
		} else if err := dst.UnmarshalText([]byte(v)); err != nil {
			in.errorf("%v", err)
		}
	}
}

func duration(dst *Duration, atLeast Duration) put {
	return func(in input) {
		before := len(in.p.errs)
		if v, ok := in.val.(int64); ok {
			in.val = strconv.FormatInt(v, 10) + "s" // whole seconds, as in uWSGI
		}
		parsed(dst, `a duration such as "30s", or whole seconds`)(in)
		if len(in.p.errs) == before && *dst < atLeast {
			in.errorf("%s is too short, want at least %s", *dst, atLeast)
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
			parsed(dst, `a size such as "20MiB"`)(in)
		}
	}
}

// mode refuses plain numbers: 660 in TOML is decimal and would be the mode 01224.
func mode(dst *FileMode, check func(FileMode) string) put {
	return func(in input) {
		before := len(in.p.errs)
		parsed(dst, `an octal mode in quotes such as "0660"`)(in)
		if why := check(*dst); len(in.p.errs) == before && why != "" {
			in.errorf("%s", why)
		}
	}
}

func socketMode(m FileMode) string {
	if m == 0 {
		return "with mode 0000 nobody could connect"
	}
	return ""
}

func umask(m FileMode) string {
	switch {
	case m == 0:
		return "umask is never 0: everything the server creates could be changed by anyone on the machine"
	case m&0o600 != 0:
		return fmt.Sprintf("%s takes read or write permission from the server itself", m)
	}
	return ""
}

// address gives the value as an absolute address that the kernel could bind, and notes it
// as a listener.
func (in input) address(what string) (Address, bool) {
	v, ok := in.text()
	if !ok {
		return Address{}, false
	}
	a, err := ParseAddress(v)
	if err == nil && a.IsUnixPath() {
		if why := notExpanded(a.Addr); why != "" {
			in.errorf("%s", why)
			return Address{}, false
		}
		a.Addr = absolute(in.p.base, a.Addr)
	}
	if err == nil {
		err = a.kernel()
	}
	if err != nil {
		in.errorf("%v", err)
		return Address{}, false
	}
	in.p.listeners = append(in.p.listeners, listener{in.path, what, a})
	if a.IsUnixPath() {
		in.p.files = append(in.p.files, file{path: in.path, name: a.Addr, kind: socketFile})
	}
	return a, true
}

// sockets only notes its listeners; parser.order makes the Config's list of them.
func sockets(proto string) put {
	return func(in input) { in.each(func(in input) { in.address(proto) }) }
}

func statsAddress(dst *Address) put {
	return func(in input) { *dst, _ = in.address("stats") }
}

func controlAddress(dst *Address) put {
	return func(in input) {
		a, ok := in.address("control")
		if ok && !a.IsUnixPath() {
			in.errorf("%s is not a path: control is a unix socket that only its owner may use", a)
			return
		}
		*dst = a
	}
}

func prefixes(dst *[]netip.Prefix) put {
	return func(in input) {
		*dst = nil
		in.each(func(in input) {
			v, ok := in.text()
			if !ok {
				return
			}
			p, err := parsePrefix(v)
			if err != nil {
				in.errorf("%v", err)
				return
			}
			*dst = append(*dst, p)
		})
	}
}

func parsePrefix(s string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" && !ip.Is4In6() {
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return p, fmt.Errorf("%q is neither an IP address nor a network such as \"10.0.0.0/8\"", s)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("%q has address bits beyond /%d, want %q", s, p.Bits(), p.Masked())
	}
	return p, nil
}

// account is a user or group by name or number.
func account(dst *string) put {
	return func(in input) {
		if n, ok := in.val.(int64); ok {
			in.val = strconv.FormatInt(n, 10)
		}
		v, ok := in.text()
		if !ok {
			return
		}
		if !isAccount(v) {
			in.errorf("%q is neither a name nor a number", v)
			return
		}
		*dst = v
	}
}

func isAccount(s string) bool {
	return s != "" && s[0] != '-' && !strings.ContainsAny(s, " \t\r\n:,/\x00")
}

func owner(dst *string) put {
	return func(in input) {
		v, ok := in.text()
		if !ok {
			return
		}
		user, group, both := strings.Cut(v, ":")
		if !isAccount(user) || both && !isAccount(group) {
			in.errorf("%q is not \"user\" or \"user:group\"", v)
			return
		}
		*dst = v
	}
}

func environment(dst *map[string]string) put {
	return func(in input) {
		table, ok := in.val.(map[string]any)
		if !ok {
			in.want("a table: [env] with lines NAME = \"value\" below it")
			return
		}
		*dst = map[string]string{}
		for _, name := range slices.Sorted(maps.Keys(table)) {
			one := input{p: in.p, path: child(in.path, name), val: table[name]}
			if v, ok := one.variable(name); ok {
				(*dst)[name] = v
			}
		}
	}
}

func (in input) variable(name string) (string, bool) {
	v, ok := in.val.(string)
	why := badVariable(name)
	switch {
	case isKey(name):
		in.errorf("stands below [env] but is an option: move it above the first table")
	case why != "":
		in.errorf("%s", why)
	case !ok:
		in.want("a string")
	case strings.Contains(v, "\x00"):
		in.errorf("contains a NUL byte")
	default:
		return v, true
	}
	return "", false
}
