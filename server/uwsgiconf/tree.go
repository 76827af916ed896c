package uwsgiconf

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fault is a mistake of the form at a line.
type fault struct {
	line int
	key  string
	msg  string
}

func (f *fault) Error() string { return f.msg }

const onlyPlain = "want a plain value or a list of plain values, as uWSGI does"

// readYAML takes a map of options below the section's name, or a list of such maps.
func readYAML(s source, text string) ([]option, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 1 && doc.Content[0].Kind == yaml.MappingNode {
		pairs := doc.Content[0].Content
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i].Value == s.section {
				return yamlOptions(s, pairs[i+1])
			}
		}
	}
	return nil, s.noSection(s.section + ":")
}

func yamlOptions(s source, n *yaml.Node) (all []option, err error) {
	switch {
	case n.Kind == yaml.SequenceNode:
		for _, one := range n.Content {
			if one.Kind != yaml.MappingNode {
				return nil, &fault{one.Line, "", "want a map of options in each element of the list"}
			}
			more, err := yamlOptions(s, one)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
		return all, nil
	case n.Kind != yaml.MappingNode:
		return nil, &fault{n.Line, s.section, "want a map of options below it"}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], n.Content[i+1]
		values := []*yaml.Node{v}
		if v.Kind == yaml.SequenceNode {
			values = v.Content
		}
		for _, one := range values {
			if one.Kind == yaml.AliasNode {
				one = one.Alias
			}
			if one.Kind != yaml.ScalarNode {
				return nil, &fault{one.Line, key.Value, onlyPlain}
			}
			all = append(all, option{at: place{s.path, one.Line}, key: key.Value, value: yamlValue(one), above: yamlComments(key)})
			key = &yaml.Node{Value: key.Value} // the comments are for the first
		}
	}
	return all, nil
}

// yamlValue is the text of a value as it stands there: 0660 is a mode and no number.
func yamlValue(n *yaml.Node) string {
	if n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

func yamlComments(n *yaml.Node) (all []string) {
	for line := range strings.SplitSeq(n.HeadComment, "\n") {
		if line = strings.TrimSpace(strings.TrimLeft(line, "# ")); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// readJSON reads token by token: an object may have an option more than once.
func readJSON(s source, text string) ([]option, error) {
	r := jsonReader{source: s, text: text, dec: json.NewDecoder(strings.NewReader(text))}
	r.dec.UseNumber()
	err := r.object(0)
	if err == nil && !r.found {
		return nil, s.noSection(`"` + s.section + `": {...}`)
	}
	var bad *fault
	if err != nil && !errors.As(err, &bad) {
		err = &fault{r.lineNo(), "", err.Error()}
	}
	return r.all, err
}

type jsonReader struct {
	source
	text  string
	dec   *json.Decoder
	found bool
	all   []option
}

func (r *jsonReader) lineNo() int {
	return 1 + strings.Count(r.text[:min(int(r.dec.InputOffset()), len(r.text))], "\n")
}

// object reads the whole text at depth 0 and the options of the section at depth 1.
func (r *jsonReader) object(depth int) error {
	if t, err := r.dec.Token(); err != nil || t != json.Delim('{') {
		return cmpErr(err, &fault{r.lineNo(), "", `want an object: {"uwsgi": {"option": "value"}}`})
	}
	for r.dec.More() {
		t, err := r.dec.Token()
		key, ok := t.(string)
		switch {
		case err != nil || !ok:
			return cmpErr(err, &fault{r.lineNo(), "", "want a name"})
		case depth == 1:
			err = r.values(key)
		case key == r.section && !r.found:
			r.found = true
			err = r.object(1)
		default:
			err = r.dec.Decode(new(json.RawMessage))
		}
		if err != nil {
			return err
		}
	}
	_, err := r.dec.Token()
	return err
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func (r *jsonReader) values(key string) error {
	t, err := r.dec.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('[') {
		return r.value(key, t)
	}
	for r.dec.More() {
		if t, err = r.dec.Token(); err != nil {
			return err
		}
		if err = r.value(key, t); err != nil {
			return err
		}
	}
	_, err = r.dec.Token()
	return err
}

func (r *jsonReader) value(key string, t json.Token) error {
	o := option{at: place{r.path, r.lineNo()}, key: key}
	switch v := t.(type) {
	case json.Delim:
		return &fault{o.at.line, key, onlyPlain}
	case nil:
	default:
		o.value = fmt.Sprint(v)
	}
	r.all = append(r.all, o)
	return nil
}

// readXML takes the options of the first <uwsgi>, or of the one whose id is asked for,
// wherever it stands.
func readXML(s source, text string) ([]option, error) {
	r := xmlReader{source: s, dec: xml.NewDecoder(strings.NewReader(text))}
	err := r.all()
	var bad *fault
	switch {
	case errors.As(err, &bad):
		return nil, bad
	case err != nil:
		line, _ := r.dec.InputPos()
		return nil, &fault{line, "", strings.TrimPrefix(err.Error(), "XML ")}
	case !r.found && s.section != defaultSection:
		return nil, s.noSection(fmt.Sprintf("<uwsgi id=%q>", s.section))
	case !r.found:
		return nil, s.noSection("<uwsgi>")
	}
	return r.options, nil
}

type xmlReader struct {
	source
	comments
	dec     *xml.Decoder
	found   bool
	options []option
}

func (r *xmlReader) all() error {
	for {
		t, err := r.dec.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if start, ok := t.(xml.StartElement); ok && !r.found && r.wanted(start) {
			r.found = true
			if err := r.section(); err != nil {
				return err
			}
		}
	}
}

func (r *xmlReader) wanted(e xml.StartElement) bool {
	id := defaultSection
	for _, a := range e.Attr {
		if a.Name.Local == "id" {
			id = a.Value
		}
	}
	return e.Name.Local == "uwsgi" && (r.source.section == defaultSection || r.source.section == id)
}

func (r *xmlReader) section() error {
	for {
		t, err := r.dec.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.Comment:
			for line := range strings.SplitSeq(strings.TrimSpace(string(t)), "\n") {
				r.above = append(r.above, strings.TrimSpace(line))
			}
		case xml.StartElement:
			if err := r.element(t.Name.Local); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		}
	}
}

func (r *xmlReader) element(key string) error {
	line, _ := r.dec.InputPos()
	var text strings.Builder
	for {
		t, err := r.dec.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return &fault{line, key, "want a text in it, there is an element <" + t.Name.Local + ">"}
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			o := option{at: place{r.path, line}, key: key, value: strings.TrimSpace(text.String()), above: r.above}
			r.options = append(r.options, o)
			r.comments = comments{}
			return nil
		}
	}
}
