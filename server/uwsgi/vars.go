package uwsgi

import (
	"encoding/binary"
	"net/http"
)

// Var is one variable of a block. Both halves are arbitrary bytes.
type Var struct {
	Name, Value string
}

// Vars is a block in wire order. A name may occur more than once: nginx before 1.23
// sends a repeated client header as repeated variables.
type Vars []Var

// Get returns the value of name, the last one if there are several, as uWSGI does, and
// "" if there is none.
func (vs Vars) Get(name string) string {
	value, _ := vs.Lookup(name)
	return value
}

// Lookup is Get that tells an empty value from an absent one.
func (vs Vars) Lookup(name string) (value string, ok bool) {
	for i := len(vs) - 1; i >= 0; i-- {
		if vs[i].Name == name {
			return vs[i].Value, true
		}
	}
	return "", false
}

// Values returns every value of name, in wire order.
func (vs Vars) Values(name string) []string {
	var values []string
	for _, v := range vs {
		if v.Name == name {
			values = append(values, v.Value)
		}
	}
	return values
}

// Add appends a variable.
func (vs *Vars) Add(name, value string) {
	*vs = append(*vs, Var{name, value})
}

func (vs Vars) wireLen() int {
	n := 0
	for _, v := range vs {
		n += 2 + len(v.Name) + 2 + len(v.Value)
	}
	return n
}

// appendTo relies on the caller having compared wireLen with MaxBlock: no length then
// overflows its 16 bits.
func (vs Vars) appendTo(b []byte) []byte {
	for _, v := range vs {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(v.Name)))
		b = append(b, v.Name...)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(v.Value)))
		b = append(b, v.Value...)
	}
	return b
}

// parseVars walks the block twice: once to check and count, once to fill a list of
// exactly that size, so that a block of many tiny variables costs what it holds.
func parseVars(block string, most int) (Vars, error) {
	n, err := countVars(block)
	if err != nil {
		return nil, err
	}
	if most > 0 && n > most {
		return nil, refuse(http.StatusRequestHeaderFieldsTooLarge,
			"%d variables are over the limit of %d", n, most)
	}
	vars := make(Vars, 0, n)
	for rest := block; rest != ""; {
		var v Var
		v.Name, rest, _ = cutField(rest)
		v.Value, rest, _ = cutField(rest)
		vars = append(vars, v)
	}
	return vars, nil
}

func countVars(block string) (n int, err error) {
	for rest := block; rest != ""; n++ {
		at := len(block) - len(rest)
		name, afterName, ok := cutField(rest)
		switch {
		case !ok:
			return 0, refuse(http.StatusBadRequest, "variable name at offset %d runs past the block", at)
		case name == "":
			return 0, refuse(http.StatusBadRequest, "variable at offset %d has no name", at)
		}
		if _, rest, ok = cutField(afterName); !ok {
			return 0, refuse(http.StatusBadRequest, "value of variable at offset %d runs past the block", at)
		}
	}
	return n, nil
}

// cutField takes one length-prefixed field off the front of s.
func cutField(s string) (field, rest string, ok bool) {
	if len(s) < 2 {
		return "", "", false
	}
	n := int(s[0]) | int(s[1])<<8
	s = s[2:]
	if n > len(s) {
		return "", "", false
	}
	return s[:n], s[n:], true
}
