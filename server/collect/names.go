package collect

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/seed17661985/ostler/server/static"
)

// maxText bounds the files that are read into memory for the references in them.
const maxText = 16 << 20

// layOut decides which files there will be. assets are the hashed names, nil without.
func layOut(ctx context.Context, entries map[string]*entry, o Options) (all []output, assets map[string]string, err error) {
	order := slices.Sorted(maps.Keys(entries))
	for _, name := range order {
		all = append(all, output{name: name, from: entries[name]})
	}
	if !o.Hashed {
		return all, nil, nil
	}
	n := &naming{Options: o, entries: entries, done: map[string]output{}, busy: map[string]bool{}}
	assets = map[string]string{}
	for _, name := range order {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		out, err := n.hashed(entries[name])
		if err != nil {
			return nil, nil, fmt.Errorf("%s of %s: %w", name, entries[name].source.Name, err)
		}
		if other := entries[out.name]; other != nil {
			return nil, nil, fmt.Errorf("%s of %s has the hashed name of %s: rename it", out.name, other.source.Name, name)
		}
		assets[name] = out.name
		all = append(all, out)
	}
	return all, assets, nil
}

// naming gives files their hashed names, those first that others refer to.
type naming struct {
	Options
	entries map[string]*entry
	done    map[string]output
	busy    map[string]bool // whose references are being followed
}

// hashed gives the file as it is under its hashed name: with the hashed names of what it
// refers to, which so are a part of its own.
func (n *naming) hashed(e *entry) (output, error) {
	if out, ok := n.done[e.name]; ok {
		return out, nil
	}
	n.busy[e.name] = true
	defer delete(n.busy, e.name)
	out := output{from: e, hashed: true}
	rewrite := rewriterFor(e.name)
	var sum string
	var err error
	if rewrite == nil || e.info.Size() > maxText {
		sum, err = sumOf(e)
	} else {
		sum, out.text, err = n.rewritten(e, rewrite)
	}
	out.name = static.HashedName(e.name, sum)
	n.done[e.name] = out
	return out, err
}

func sumOf(e *entry) (string, error) {
	f, err := e.source.FS.Open(e.name)
	if err != nil {
		return strings.Repeat("0", 2*sha256.Size), err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

func (n *naming) rewritten(e *entry, rewrite rewriter) (sum string, text []byte, err error) {
	f, err := e.source.FS.Open(e.name)
	if err == nil {
		defer f.Close()
		text, err = io.ReadAll(io.LimitReader(f, maxText+1))
	}
	if err == nil && len(text) > maxText {
		err = errors.New("it grew while it was read: collect again")
	}
	var failed error
	text = rewrite(text, func(ref string) string {
		to, err := n.follow(e, ref)
		failed = errors.Join(failed, err)
		return to
	})
	h := sha256.Sum256(text)
	return hex.EncodeToString(h[:]), text, errors.Join(err, failed)
}

// follow gives a reference with the hashed name of what it leads to. One that leads to
// nothing of ours stays as it is, and so does one that closes a circle: the plain name is
// there, too.
func (n *naming) follow(e *entry, ref string) (string, error) {
	at, rest := ref, ""
	if i := strings.IndexAny(ref, "?#"); i >= 0 {
		at, rest = ref[:i], ref[i:]
	}
	target, ok := n.target(e.name, at)
	if !ok {
		return ref, nil
	}
	to := n.entries[target]
	if to == nil {
		n.Note(fmt.Sprintf("%s: %s refers to %s, which is not among the static files", e.source.Name, e.name, ref))
		return ref, nil
	}
	if n.busy[target] {
		return ref, nil
	}
	out, err := n.hashed(to)
	if err != nil {
		return ref, err
	}
	base := url.URL{Path: path.Base(out.name)}
	return at[:strings.LastIndexByte(at, '/')+1] + base.EscapedPath() + rest, nil
}

// target is the name that a reference in a file leads to, if that is within the folder.
func (n *naming) target(from, at string) (string, bool) {
	if at == "" || strings.HasPrefix(at, "//") {
		return "", false // the file itself, or another host
	}
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "" || u.Host != "" || strings.HasSuffix(u.Path, "/") {
		return "", false
	}
	if strings.HasPrefix(u.Path, "/") {
		rest, ok := strings.CutPrefix(u.Path, n.URL)
		return path.Clean(rest), ok && n.URL != "" && within(path.Clean(rest))
	}
	name := path.Join(path.Dir(from), u.Path)
	return name, within(name)
}
