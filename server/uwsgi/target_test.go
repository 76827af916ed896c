package uwsgi

import (
	"net/url"
	"reflect"
	"testing"
)

// comparePlain holds parsePlain to its law: what it parses at all, it parses as net/url.
func comparePlain(t *testing.T, target string) (plain bool) {
	t.Helper()
	var got url.URL
	if !parsePlain(&got, target) {
		if got != (url.URL{}) {
			t.Fatalf("%q was left alone and filled %+v", target, got)
		}
		return false
	}
	want, err := url.ParseRequestURI(target)
	if err != nil || !reflect.DeepEqual(&got, want) {
		t.Fatalf("%q is %+v, want %+v, %v", target, got, want, err)
	}
	return true
}

func TestPlainTargetsAreParsedAsByNetURL(t *testing.T) {
	for _, target := range []string{"/", "//", "/a/b.html", "/a?", "/a??", "/a?b=c&d", "/?%zz", "/a?b#c", "/@a:b;c=d,e+f&g$h~i-j_k", "//host/x", "/é?", "/?é", "/a?b/c?d"} {
		plain := comparePlain(t, target)
		if want := target != "/é?"; plain != want {
			t.Errorf("%q: plain is %t", target, plain)
		}
	}
	for _, target := range []string{"", "*", "a", "?", "http://h/x", "h:443", "/%41", "/a b", "/a#b", "/a\x00", "/a?\n", "/(a)"} {
		if comparePlain(t, target) {
			t.Errorf("%q counts as plain", target)
		}
	}
	for c := range 256 {
		s := string([]byte{byte(c)})
		comparePlain(t, "/"+s)
		comparePlain(t, "/a?"+s)
	}
}

// FuzzPlainTarget holds parsePlain to the same on targets nobody thought of.
func FuzzPlainTarget(f *testing.F) {
	f.Add("/a/b?c=d")
	f.Add("//a?")
	f.Add("/%2f")
	f.Fuzz(func(t *testing.T, target string) { comparePlain(t, target) })
}
