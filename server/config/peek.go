package config

// Peek reads what can be read of a file, without judging it: keys that make no sense are
// at their defaults. It is for commands that need to find a running server although the
// file was broken since, and for those that leave the judgement to another program.
// The error is that the file cannot be read at all.
func Peek(path string) (Config, error) {
	src, err := read(path)
	if err != nil {
		return Config{}, Errors{{File: path, Msg: err.Error()}}
	}
	p := newParser(path)
	c := p.config(src)
	if c.File == "" {
		return Config{}, p.errs
	}
	return c, nil
}
