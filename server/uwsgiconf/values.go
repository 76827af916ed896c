package uwsgiconf

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"

	"github.com/seed17661985/ostler/server/config"
)

// value is an option's value as TOML. A note says what is different about it; a refusal
// says why there is none.
type value struct {
	toml, note, refusal string
}

func refuse(why string) value { return value{refusal: why} }

// quote writes any UTF-8 text as a TOML string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}

func text(v string) value { return value{toml: quote(v)} }

// yes reads a switch as uWSGI does: nothing behind it is on, and so is all but a few words.
func yes(v string) value {
	switch strings.ToLower(v) {
	case "false", "off", "no", "0":
		return value{toml: "false"}
	}
	return value{toml: "true"}
}

// whole reads what C's atoi reads: the number in front.
func whole(v string) (n int64, note string) {
	v = strings.TrimSpace(v)
	digits := v[:len(v)-len(strings.TrimLeft(v, "-+0123456789"))]
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case v == "":
		return 1, "without a value it is 1 in uWSGI"
	case errors.Is(err, strconv.ErrRange):
		return n, "" // the largest there is, which no option takes
	case err != nil:
		return 0, "uWSGI reads no number there, which is 0"
	case digits != v:
		return n, "uWSGI reads only the number in front"
	}
	return n, ""
}

func number(v string) value {
	n, note := whole(v)
	return value{toml: strconv.FormatInt(n, 10), note: note}
}

// unlessZero is for limits that uWSGI switches off by 0.
func unlessZero(f func(string) value) func(string) value {
	return func(v string) value {
		if n, _ := whole(v); n == 0 {
			return refuse("0 is no limit, which is the default here")
		}
		return f(v)
	}
}

func seconds(v string) value {
	n, note := whole(v)
	return value{quote(strconv.FormatInt(n, 10) + "s"), note, ""}
}

// sized gives a size of a number of units.
func sized(unit int64, unitName string) func(string) value {
	return func(v string) value {
		n, note := whole(v)
		if n < 0 || n > math.MaxInt64/unit {
			return refuse(v + " is out of range")
		}
		if note == "" {
			note = "uWSGI counts " + unitName
		}
		return value{quote(config.Size(n * unit).String()), note, ""}
	}
}

// octal writes a mode as ostler wants it: in quotes and with the zero in front.
func octal(v string) value {
	if strings.Trim(v, "01234567") != "" || v == "" || len(v) > 8 {
		return refuse(strconv.Quote(v) + " is no octal mode such as 660")
	}
	return value{toml: quote("0" + strings.TrimLeft(v, "0"))}
}

func socketMode(v string) value {
	if v == "" || v == "1" {
		return value{quote("0666"), "everybody may connect; \"0660\" would ask for the group", ""}
	}
	return octal(v)
}

// address rewrites uWSGI's way to say all interfaces. Many files have a comment behind a
// port, which ends for uWSGI where its digits end.
func address(v string) value {
	before, _, commented := strings.Cut(strings.ReplaceAll(v, ";", "#"), "#")
	before = strings.TrimSpace(before)
	if _, port, err := net.SplitHostPort(before); commented && err == nil && port != "" && strings.Trim(port, "0123456789") == "" {
		return withNote(address(before), "uWSGI reads only the number in front")
	}
	if port, ok := strings.CutPrefix(v, "*:"); ok {
		return value{quote(":" + port), "\":PORT\" is all interfaces", ""}
	}
	return text(v)
}

// fromStart is a path that uWSGI takes from the folder where it is started, even if there
// is a chdir, because it opens the file before.
func fromStart(v string) value {
	if relative(v) {
		return value{quote(v), "counts from chdir, or without it from the folder of this file; in uWSGI from the folder it is started in", ""}
	}
	return text(v)
}

// logTarget is the target of a log, which may be a stream of the server itself.
func logTarget(v string) value {
	switch v {
	case "/dev/stdout", "/dev/stderr":
		return value{quote(strings.TrimPrefix(v, "/dev/")), "a stream has a name here", ""}
	}
	return logFile(v)
}

// logFile is the target of a log that is a file.
func logFile(v string) value {
	if plugin, rest, ok := strings.Cut(v, ":"); ok && !strings.ContainsAny(plugin, "/.") {
		if plugin == "file" {
			return withNote(fromStart(rest), "a path needs no \"file:\"")
		}
		return refuse("the log plugin " + strconv.Quote(plugin) + " does not exist here: log to stderr, which systemd hands to its journal, or to a file")
	}
	if _, port, err := net.SplitHostPort(v); err == nil && strings.Trim(port, "0123456789") == "" {
		return refuse("logs are not sent over UDP: log to stderr, which systemd hands to its journal, or to a file")
	}
	if v == "stdio" || v == "syslog" {
		return refuse("this log plugin does not exist here: log to stderr, which systemd hands to its journal")
	}
	return fromStart(v)
}

// wholeMap names the folder that uWSGI looks in for static-map2: the prefix below the other.
func wholeMap(v string) value {
	prefix, dir, ok := strings.Cut(v, "=")
	if !ok {
		return refuse("want /prefix=folder")
	}
	return text(prefix + "=" + strings.TrimRight(dir, "/") + "/" + strings.TrimLeft(prefix, "/"))
}

func withNote(v value, note string) value {
	if v.note != "" {
		note += "; " + v.note
	}
	v.note = note
	return v
}

func keepalive(v string) value {
	if n, _ := whole(v); n == 1 {
		return refuse("not needed: connections are always kept, for 75 s")
	}
	return seconds(v)
}
