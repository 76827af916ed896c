package uwsgiconf

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What uWSGI makes of a file is what this package makes of it.
func TestExpansionIsUWSGIs(t *testing.T) {
	program, err := exec.LookPath("uwsgi")
	if err != nil {
		t.Skip("no uwsgi here (Debian: uwsgi-core)")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"sub/b.name.ini": realSource,
		"more.ini":       "[uwsgi]\nmore = %n %N %s %S %c\n[two]\nnot = here\n",
		"version.txt":    "1.4\nline two\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("SET", "x y")
	want := shownByUWSGI(t, program, "sub/b.name.ini")
	e := newExpander(ThisMachine())
	e.load(source{spec: "sub/b.name.ini"}, place{}, 0)
	e.finish()
	if len(e.errs) > 0 {
		t.Fatal(e.errs)
	}
	var got []string
	for _, o := range e.all {
		if o.notHere == "" && o.key != "" {
			got = append(got, o.key+" = "+o.value)
		}
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\n\nwant\n%s", g, w)
	}
}

// shownByUWSGI has uWSGI print what it read. The folder in the last line is not there, so
// it ends when it has.
func shownByUWSGI(t *testing.T, program, file string) (lines []string) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, program, "--show-config", "--ini", file).CombinedOutput()
	_, text, _ := strings.Cut(string(out), "\n[uwsgi]\n")
	text, _, ended := strings.Cut(text, "\n;end of configuration")
	if !ended {
		t.Fatalf("uwsgi does not show its configuration:\n%s", out)
	}
	for line := range strings.SplitSeq(text, "\n") {
		key, _, _ := strings.Cut(line, " ")
		switch {
		case key == "show-config" || key == "ini" || key == "include" || isLogic(key) || isEnd(key) || isSet(key):
		default:
			lines = append(lines, line)
		}
	}
	return lines
}

const realSource = `
[uwsgi]
; a comment
project = shop
base = /srv/%(project)
early = %(late)
late = 5
sum = %(late + 2)
chain = %(late + 1 + 2 * 3)
share = %(late / 3)
joined = %(late 7)
tight = %(late-1)
nothing = [%(undefined)]
bare
eq=
in = $(SET)/x
out = [$(NOT_SET_ANYWHERE)]
text = @(version.txt)
set-placeholder = ph=77
set-ph = q=88
set = qq=99
three = %(ph)-%(q)-%(qq)
for = 1 2  3
  key%(_) = a%(_)
  value = b%(_)/%(project)
endfor
for-times = 3
t = %(_)
end-for
for-readline = version.txt
line = %(_)
endfor =
if-env = SET
h = %(_)
endif
if-env = SET=x y
exact = yes
end-if =
if-env = SET=other
never = 1
endif =
if-not-env = SET
never = 2
endif =
if-exists = /etc/passwd
e = %(_)
endif =
if-not-exists = /etc/passwd
never = 3
endif =
if-file = /etc/passwd
f = %(_)
endif =
if-dir = /etc
d = %(_)
endif =
if-opt = project=shop
o = %(_)
endif =
if-opt = project=other
never = 4
endif =
if-not-opt = frobnicate
not = %(_)
endif =
if-not-env = NOT_SET_ANYWHERE
not = %(_)
endif =
if-not-exists = /nope
not = %(_)
endif =
if-not-hostname-match = ^ $
not = %(_)
endif =
if-exists = %(base)
never = 6
endif =
if-not-exists = $(SET)
not = %(_)
endif =
for = %(base) $(SET)
word = %(_)
endfor =
if-reload =
never = 5
endif =
if-not-reload =
first = start%(_)
endif =
project = second
still = %(project)
inline = 4 ; inline # x
quoted = "a b"
magic = %v %h %k %u %U %g %G %%x %z
name = %o %p %s %e %n %c %d %j %0
capitals = %O %P %S %E %N %C %D %J
include = more.ini
after = %s
[other]
foo = 1
[uwsgi]
again = 1
chdir = /not/there/%(ph)
`
