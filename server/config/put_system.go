package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// mode refuses plain numbers: 660 in TOML is decimal and would be the mode 01224.
func mode(dst *FileMode, check func(FileMode) string) put {
	return func(in input) {
		var m FileMode
		if !in.parsed(&m, `an octal mode in quotes such as "0660"`) {
			return
		}
		if why := check(m); why != "" {
			in.errorf("%s", why)
			return
		}
		*dst = m
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
		user, group, grouped := strings.Cut(v, ":")
		onlyGroup := user == "" && grouped // all that an ordinary user may change
		if !onlyGroup && !isAccount(user) || grouped && !isAccount(group) {
			in.errorf("%q is not \"user\", \"user:group\" or \":group\"", v)
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
