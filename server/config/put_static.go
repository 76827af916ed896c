package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

const (
	formAlias = `string or array of strings: "/prefix=folder"`

	// maxPlaces bounds what every request is looked up in.
	maxPlaces = 100
)

// Alias is a path prefix, and the folder or file that stands for it.
type Alias struct {
	Prefix string // "/static": decoded, with no slash at its end; "" is the root
	Path   string // absolute
}

// aliases take uWSGI's "/prefix=folder". What they serve may be read by everybody, unless
// they are for a front end alone.
func aliases(dst *[]Alias, public bool) put {
	return func(in input) {
		*dst = nil
		in.each(func(in input) {
			if a, ok := in.alias(); ok {
				*dst = append(*dst, a)
				if public {
					in.served(a.Path)
				}
			}
		})
		if len(*dst) > maxPlaces {
			in.errorf("%d are too many, want at most %d", len(*dst), maxPlaces)
		}
	}
}

func (in input) alias() (Alias, bool) {
	v, ok := in.text()
	if !ok {
		return Alias{}, false
	}
	prefix, folder, ok := strings.Cut(v, "=")
	if !ok || folder == "" {
		in.errorf("%q is not \"/prefix=folder\"", v)
		return Alias{}, false
	}
	clean, err := cleanAlias(prefix)
	if err != nil {
		in.errorf("%v", err)
		return Alias{}, false
	}
	in.val = folder
	path, ok := in.abs(in.p.base)
	return Alias{clean, path}, ok
}

// cleanAlias takes a prefix as a mount's is taken, and the root.
func cleanAlias(v string) (string, error) {
	if v != "" && strings.Trim(v, "/") == "" {
		return "", nil
	}
	return cleanMount(v)
}

// served notes a folder that everybody may read.
func (in input) served(path string) {
	in.p.public = append(in.p.public, file{path: in.path, name: path})
}

func servedFolder(dst *string) put {
	return func(in input) {
		if v, ok := in.abs(in.p.base); ok {
			*dst = v
			in.served(v)
		}
	}
}

func servedFolders(dst *[]string) put {
	return func(in input) {
		*dst = nil
		in.each(func(in input) {
			if v, ok := in.abs(in.p.base); ok {
				*dst = append(*dst, v)
				in.served(v)
			}
		})
		if len(*dst) > maxPlaces {
			in.errorf("%d are too many, want at most %d", len(*dst), maxPlaces)
		}
	}
}

// staticURL is a path of this server, or an address elsewhere; either way with a slash at its
// end, to which names are added.
func staticURL(dst *string) put {
	return func(in input) {
		v, ok := in.text()
		if !ok {
			return
		}
		u, err := url.Parse(v)
		switch {
		case err != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "":
			in.errorf("%q is neither a path such as \"/static/\" nor an address such as \"https://cdn.example/static/\"", v)
			return
		case u.Host != "" && (u.Scheme == "https" || u.Scheme == "http"):
			*dst = strings.TrimRight(v, "/") + "/"
			return
		case u.Scheme != "" || u.Host != "":
			in.errorf("%q is an address of a kind that browsers do not load files from, want https://", v)
			return
		}
		clean, err := cleanMount(v)
		if err != nil {
			if strings.Trim(v, "/") == "" {
				err = fmt.Errorf("the whole site would be files: name a prefix such as \"/static/\", and set check-static for files at the root")
			}
			in.errorf("%v", err)
			return
		}
		*dst = clean + "/"
	}
}

// fileNames are names without a folder.
func fileNames(dst *[]string) put {
	return func(in input) {
		*dst = nil
		in.each(func(in input) {
			v, ok := in.text()
			switch {
			case ok && (strings.ContainsAny(v, "/\\") || strings.HasPrefix(v, ".")):
				in.errorf("%q is not the name of a file such as \"index.html\"", v)
			case ok:
				*dst = append(*dst, v)
			}
		})
	}
}

// serveNoSecrets refuses to let everybody read what this file names for the server alone, and
// the file itself.
func (p *parser) serveNoSecrets() {
	for _, s := range p.public {
		if p.file != "" && inside(s.name, p.file) {
			p.conflict(s.path, "%s has this configuration file in it, and everybody could read it: serve a folder of its own", s.name)
			continue
		}
		for _, f := range p.files {
			if inside(s.name, f.name) {
				p.conflict(s.path, "%s has the file of %s on line %d in it, and everybody could read it: serve a folder of its own", s.name, f.path, p.at.find(f.path))
				break
			}
		}
	}
}

// collectApart keeps what is collected out of the folder it is collected into.
func (p *parser) collectApart(c *Config) {
	if c.StaticRoot == "" {
		for _, key := range []string{"static-dirs", "static-hashed"} {
			if p.given(key) && !p.given("static-root") {
				p.conflict(key, "needs static-root, the folder that is collected into")
			}
		}
		return
	}
	for _, d := range c.StaticDirs {
		if inside(d, c.StaticRoot) || inside(c.StaticRoot, d) {
			p.conflict("static-dirs", "%s and static-root (%s) are in each other: collecting would not end", d, c.StaticRoot)
		}
	}
}

// inside reports whether a path is dir or below it. Both are absolute and clean.
func inside(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}
