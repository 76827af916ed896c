package uwsgi

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

func TestDateIsOfItsSecond(t *testing.T) {
	var c dateCache
	zone := time.FixedZone("", 5400)
	for _, ms := range []int64{0, 999, 1000, 500, 61_000, 86_400_000_000, 1} {
		now := time.UnixMilli(ms).In(zone)
		if got, want := c.at(now), now.UTC().Format(http.TimeFormat); got != want {
			t.Errorf("after %d ms: %s, want %s", ms, got, want)
		}
	}
}

// Goroutines of different seconds share the cache and must not see each other's.
func TestDateIsRaceFree(t *testing.T) {
	var c dateCache
	var all sync.WaitGroup
	for g := range int64(4) {
		all.Go(func() {
			for i := range int64(500) {
				now := time.Unix(g+i%2, 0)
				if got, want := c.at(now), now.UTC().Format(http.TimeFormat); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
		})
	}
	all.Wait()
}
