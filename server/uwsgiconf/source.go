package uwsgiconf

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

const defaultSection = "uwsgi"

// source is a file of options, and the section that counts.
type source struct {
	spec    string // as it was named: path or path:section
	path    string
	section string
}

func (s source) noSection(what string) error {
	return &fault{0, "", fmt.Sprintf("has no %s; name the section that counts behind the path: %s:SECTION", what, s.path)}
}

// locate splits path:section. A file whose name has a colon is still found.
func (s *source) locate(sys System) {
	s.path, s.section = s.spec, defaultSection
	if sys.exists(s.spec) {
		return
	}
	if i := strings.LastIndexByte(s.spec, ':'); i >= 0 {
		s.path = s.spec[:i]
		if s.spec[i+1:] != "" {
			s.section = s.spec[i+1:]
		}
	}
}

// options reads the file in the form that its name says, or else its first character.
func (s source) options(text string) ([]option, error) {
	text = strings.TrimPrefix(text, "\ufeff")
	start := strings.TrimSpace(text)
	switch ext := strings.ToLower(filepath.Ext(s.path)); {
	case ext == ".yaml" || ext == ".yml":
		return readYAML(s, text)
	case ext == ".json" || ext == ".js" || ext != ".ini" && strings.HasPrefix(start, "{"):
		return readJSON(s, text)
	case ext == ".xml" || ext != ".ini" && strings.HasPrefix(start, "<"):
		return readXML(s, text)
	}
	return readINI(s, text)
}

// lineOf finds the line of an error. The YAML library tells it only in words.
func lineOf(err error) (line int, key, msg string) {
	if f, ok := err.(*fault); ok {
		return f.line, f.key, f.msg
	}
	msg = strings.TrimPrefix(err.Error(), "yaml: ")
	if m := regexp.MustCompile(`^line (\d+): (.*)`).FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		return line, "", m[2]
	}
	return 1, "", msg
}
