package malformed

import "testing"

func TestTheCollectionIsLargeAndNamesEachOnce(t *testing.T) {
	list, err := Requests()
	if err != nil || len(list) < 150 {
		t.Fatalf("%d requests, %v", len(list), err)
	}
	seen := make(map[string]bool)
	for _, r := range list {
		if seen[r.Name] || r.Name == "" || r.Input == "" {
			t.Errorf("%q is there twice, or empty", r.Name)
		}
		seen[r.Name] = true
	}
}

func TestExpand(t *testing.T) {
	for in, want := range map[string]string{"a": "a", "a{b*3}c": "abbbc", "{a*2}": "aa", "{\"a\":1}": "{\"a\":1}"} {
		if got := expand(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
