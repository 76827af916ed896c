// Package uwsgiconf turns a configuration of uWSGI into one of ostler.
//
// It promises: every option of the source has its place in the text that it makes, in the
// order of the source, as a key that counts or as a comment with the reason; what counts is
// accepted by config.Parse; a source that uWSGI could not read either, or that asks for
// more than files of this machine, is refused with file, line and key. It runs no command,
// opens no connection and reads regular files only, each of them and all together bounded.
//
// It does not know which apps the program registers, so it names none with certainty.
//
//	file ─▶ read (ini, yaml, json, xml) ─▶ expand (for, if, include, %(x), $(X), @(x))
//	     ─▶ translate (one rule for each option) ─▶ write (TOML, judged by config.Parse)
package uwsgiconf

import "github.com/seed17661985/ostler/server/config"

// The bounds are far above any configuration; what is larger was named by mistake or
// made to be expanded without end.
const (
	maxSource  = 256 << 10 // of one file
	maxText    = 1 << 20   // of everything that placeholders and files are replaced by
	maxDepth   = 8         // files that include each other
	maxFiles   = 64        // files in all
	maxOptions = 4000      // after for and include
)

// Result is a configuration that was made.
type Result struct {
	TOML []byte

	// Serves tells whether the source had a socket that can be bound here. Without one
	// config.Parse has this single objection.
	Serves bool

	Carried, Replaced, LeftOut int // options of the source
}

// Import reads the configuration at spec, which is a path or path:section as in uWSGI. Target
// is where the result will stand, for the rules of config.Parse. An error of the source is
// a config.Errors.
func Import(sys System, spec, target string) (Result, error) {
	e := newExpander(sys)
	e.load(source{spec: spec}, place{}, 0)
	e.finish()
	if len(e.errs) > 0 {
		return Result{}, e.errs
	}
	t := newTranslator(e)
	t.translate()
	return t.write(target)
}

// place is where an option stands.
type place struct {
	file string
	line int
}

// option is one option of the source, or with an empty key the comments at its end.
type option struct {
	at         place
	key, value string
	raw        string   // the value as it is written, for whoever compares the two files
	above      []string // comments in front of it
	gap        bool     // so is an empty line
	notHere    string   // why it does not count, "" if it does
	variable   bool     // made by set-placeholder: nothing but a name for a value
}

func (e *expander) report(at place, key, msg string) {
	e.errs = append(e.errs, &config.Error{File: at.file, Line: at.line, Key: key, Msg: msg})
}
