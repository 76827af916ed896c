package master

import (
	"os"
	"regexp"
	"testing"
	"time"
)

// What a kill can take is a promise to those who read the documentation.
func TestTheIntervalIsTheDocumentedOne(t *testing.T) {
	text, err := os.ReadFile("../docs/stats.md")
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`asked at each scrape, and every (\d+) s without one`).FindSubmatch(text)
	if said == nil {
		t.Fatal("docs/stats.md does not say how often workers are asked")
	}
	if every, err := time.ParseDuration(string(said[1]) + "s"); err != nil || every != gatherEvery {
		t.Errorf("docs/stats.md says every %v, it is every %v", every, gatherEvery)
	}
}
