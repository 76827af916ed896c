package uwsgi

import (
	"strings"
	"testing"
)

func TestCharacterSetsHoldWhatTheySay(t *testing.T) {
	const alnum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for name, set := range map[string]struct {
		valid func(string) bool
		chars string
	}{
		"token": {validName, alnum + "!#$%&'*+-.^_`|~"},
		"host":  {validHost, alnum + "!$%&()*+,-.:;=[']_~"},
	} {
		for c := range 256 {
			s := string([]byte{byte(c)})
			if got, want := set.valid(s), strings.Contains(set.chars, s); got != want {
				t.Errorf("%s: %q is %t, want %t", name, s, got, want)
			}
		}
	}
}

// Every character, at every place of a value that is checked in steps of eight.
func TestControlCharactersAreFoundAnywhere(t *testing.T) {
	for length := range 20 {
		for at := range length {
			for c := range 256 {
				b := []byte(strings.Repeat("\xa0", length)) // what a borrow could make a control character
				b[at] = byte(c)
				control := c < ' ' || c == 0x7f
				if got := hasControl(string(b)); got != control {
					t.Fatalf("hasControl(%q) is %t", b, got)
				}
				if got, want := validValue(string(b)), !control || c == '\t'; got != want {
					t.Fatalf("validValue(%q) is %t", b, got)
				}
			}
		}
	}
	if validValue("a\tbcdefgh\x01") || !validValue("a\tbcdefgh\t123456789") {
		t.Error("what follows a tab is not looked at")
	}
}

func TestTokensAreFoundInLists(t *testing.T) {
	for list, want := range map[string]bool{
		"upgrade": true, "keep-alive, Upgrade": true, "UPGRADE ,x": true, "\tupgrade\t": true, ",,upgrade,": true,
		"": false, "close": false, "upgrades": false, "up grade": false, "x upgrade": false, "keep-alive,": false,
	} {
		if got := hasToken(list, "upgrade"); got != want {
			t.Errorf("%q: %t", list, got)
		}
	}
}
