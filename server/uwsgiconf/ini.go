package uwsgiconf

import "strings"

// readINI gives the options of one section, which may be spread over the file. Comments
// above the first header belong to the section that counts without being named.
func readINI(s source, text string) ([]option, error) {
	r := iniReader{source: s}
	for i, line := range strings.Split(text, "\n") {
		r.line(i+1, strings.Trim(line, " \t\r"))
	}
	if !r.found {
		return nil, s.noSection("section [" + s.section + "]")
	}
	return r.end(), nil
}

type iniReader struct {
	source
	comments
	current string
	headers int
	found   bool
	all     []option
}

// comments is what stands in front of the next option.
type comments struct {
	above []string
	gap   bool
}

func (r *iniReader) line(n int, line string) {
	here := r.headers > 0 && r.current == r.section
	switch {
	case line == "" && len(r.above) > 0:
		r.above = append(r.above, "") // a comment that stands alone
	case line == "":
		r.gap = true
	case line[0] == '[':
		r.current, _, _ = strings.Cut(line[1:], "]")
		r.headers++
		r.found = r.found || r.current == r.section
	case line[0] == '#' || line[0] == ';':
		if here || r.headers == 0 && r.section == defaultSection {
			r.above = append(r.above, strings.TrimSpace(strings.TrimLeft(line, "#;")))
		}
	case here:
		key, value, _ := strings.Cut(line, "=")
		r.option(n, strings.TrimRight(key, " \t"), strings.TrimLeft(value, " \t"))
	}
}

func (r *iniReader) option(n int, key, value string) {
	o := option{at: place{r.path, n}, key: key, value: value, above: r.above, gap: r.gap}
	r.all = append(r.all, o)
	r.comments = comments{}
}

// end adds the comments that no option follows.
func (r *iniReader) end() []option {
	if len(r.above) > 0 {
		r.option(0, "", "")
	}
	return r.all
}
