package config

import (
	"fmt"
	"net/url"
	"path"
	"strings"
)

// maxMounts bounds the scoreboard, which counts for each slot and app.
const maxMounts = 100

const formMount = "an array of tables: `[[mount]]`, then lines `path = \"/shop\"` and `module = \"shop\"`, and maybe `harakiri = \"5s\"`"

// Mount is an app below a path prefix.
type Mount struct {
	Path   string // "/shop": decoded, with no slash at its end
	Module string

	Harakiri Duration // of its requests; 0: none
	Line     int      // in the file, for what only the program itself can find wrong
}

// asTheServer is a mount's Harakiri until the rules put the server's there.
const asTheServer Duration = -1

func mounts(dst *[]Mount) put {
	return func(in input) {
		*dst = nil
		if s, ok := in.val.(string); ok && strings.Contains(s, "=") {
			at, module, _ := strings.Cut(s, "=")
			in.errorf("uWSGI's form; here it is [[mount]] at the end of the file, with path = %q and module = %q below it", at, module)
			return
		}
		in.tables("[[mount]] with path and module below it", []string{"path", "module", "harakiri"}, func(t table) {
			m := Mount{Line: in.p.at.find(t.path), Harakiri: asTheServer}
			t.mountPath(&m, *dst)
			if f, ok := t.required("module"); ok {
				m.Module, _ = f.text()
			}
			if f := t.at("harakiri"); f.val != nil {
				duration(&m.Harakiri, 0)(f)
			}
			*dst = append(*dst, m)
		})
		if len(*dst) > maxMounts {
			in.errorf("%d are too many, want at most %d", len(*dst), maxMounts)
		}
	}
}

// mountPath stores the path unless one of the mounts before has it.
func (t table) mountPath(m *Mount, before []Mount) {
	f, ok := t.required("path")
	if !ok {
		return
	}
	v, ok := f.text()
	if !ok {
		return
	}
	p, err := cleanMount(v)
	if err != nil {
		f.errorf("%v", err)
		return
	}
	for _, other := range before {
		if other.Path == p {
			f.errorf("%s is mounted already, on line %d", p, other.Line)
			return
		}
	}
	m.Path = p
}

// cleanMount takes a prefix as it is compared: decoded, whole segments, and no slash at
// the end, which means nothing here as in uWSGI.
func cleanMount(v string) (string, error) {
	trimmed := strings.TrimRight(v, "/")
	decoded, undecodable := url.PathUnescape(trimmed)
	switch {
	case !strings.HasPrefix(v, "/"):
		return "", fmt.Errorf("%q does not begin with a slash", v)
	case trimmed == "":
		return "", fmt.Errorf("the app at \"/\" is named by module, above the first table")
	case strings.ContainsAny(trimmed, "*{}"):
		return "", fmt.Errorf("%q looks like a pattern; a mount is a plain prefix that covers everything below it", v)
	case strings.ContainsAny(trimmed, "?#"):
		return "", fmt.Errorf("%q has more than a path", v)
	case strings.ContainsFunc(trimmed, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", fmt.Errorf("%q has a control character", v)
	case path.Clean(trimmed) != trimmed:
		return "", fmt.Errorf("%q has empty or dot segments, want %q", v, path.Clean(trimmed))
	case undecodable == nil && decoded != trimmed:
		return "", fmt.Errorf("%q is compared with the decoded path, want %q", v, decoded)
	}
	return trimmed, nil
}
