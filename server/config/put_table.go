package config

import (
	"maps"
	"slices"
	"strings"
)

// table is one table of an array of tables.
type table struct {
	input
	fields map[string]any
}

// tables calls f for each table of [[key]], or of key = [{...}, {...}]; form says how to
// write one, for whoever wrote something else. Keys besides those known are refused.
func (in input) tables(form string, known []string, f func(table)) {
	for i, v := range in.list(form) {
		one := input{p: in.p, path: index(in.path, i), val: v}
		fields, ok := v.(map[string]any)
		if !ok {
			one.want(form)
			continue
		}
		t := table{input: one, fields: fields}
		t.refuseUnknown(known)
		f(t)
	}
}

// list gives the elements of an array in either of the TOML library's types.
func (in input) list(form string) []any {
	var all []any
	switch v := in.val.(type) {
	case []any:
		all = v
	case []map[string]any:
		for _, one := range v {
			all = append(all, one)
		}
	default:
		in.want(form)
		return nil
	}
	if len(all) == 0 {
		in.errorf("an empty array; leave the key out to have the default")
	}
	return all
}

// refuseUnknown knows the commonest cause: an option that was added at the end of the
// file, which in TOML makes it a part of the last table.
func (t table) refuseUnknown(known []string) {
	for _, name := range slices.Sorted(maps.Keys(t.fields)) {
		if slices.Contains(known, name) {
			continue
		}
		f := t.at(name)
		near := slices.IndexFunc(known, func(k string) bool { return distance(name, k) <= max(1, len(k)/3) })
		switch {
		case isKey(name):
			f.errorf("stands below [[%s]] but is an option of the whole server: move it above the first table", t.name())
		case near >= 0:
			f.errorf("%s", didYouMean(known[near]))
		default:
			f.errorf("unknown key, [[%s]] has %s", t.name(), strings.Join(known, ", "))
		}
	}
}

// name is the key of the array.
func (t table) name() string {
	name, _, _ := strings.Cut(t.path, "[")
	return name
}

// at is the field as an input of its own; its val is nil if it is not there.
func (t table) at(name string) input {
	return input{p: t.p, path: child(t.path, name), val: t.fields[name]}
}

// required gives a field that has to be there.
func (t table) required(name string) (input, bool) {
	f := t.at(name)
	if f.val == nil {
		t.errorf("has no %s", name)
	}
	return f, f.val != nil
}
