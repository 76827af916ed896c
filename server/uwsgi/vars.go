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

// listVars makes the list of a block that was checked and counted, so a block of many tiny
// variables costs what it holds.
func listVars(block string, n int) Vars {
	vars := make(Vars, 0, n)
	for at := 0; at < len(block); {
		var v Var
		v.Name, v.Value, at, _ = nextVar(block, at)
		vars = append(vars, v)
	}
	return vars
}

// nextVar takes the variable at an offset. It has a name, or ok is false.
func nextVar(block string, at int) (name, value string, next int, ok bool) {
	s := block[at:]
	if len(s) < 2+2 {
		return "", "", 0, false
	}
	n := int(s[0]) | int(s[1])<<8
	if n == 0 || len(s) < 2+n+2 {
		return "", "", 0, false
	}
	v := s[2+n:]
	m := int(v[0]) | int(v[1])<<8
	if len(v) < 2+m {
		return "", "", 0, false
	}
	return s[2 : 2+n], v[2 : 2+m], at + 2 + n + 2 + m, true
}

// varFault says what nextVar did not like.
func varFault(block string, at int) error {
	s := block[at:]
	if len(s) < 2 || len(s)-2 < int(s[0])|int(s[1])<<8 {
		return refuse(http.StatusBadRequest, "variable name at offset %d runs past the block", at)
	}
	if s[:2] == "\x00\x00" {
		return refuse(http.StatusBadRequest, "variable at offset %d has no name", at)
	}
	return refuse(http.StatusBadRequest, "value of variable at offset %d runs past the block", at)
}
