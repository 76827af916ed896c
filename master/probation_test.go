package master

import "testing"

func TestACandidateIsWorseBeyondChance(t *testing.T) {
	for name, test := range map[string]struct {
		candidate, sameTime, life tally
		want                      bool
	}{
		"nothing was asked":                {tally{}, tally{}, tally{}, false},
		"it answers well":                  {tally{100, 0}, tally{100, 0}, tally{1e6, 0}, false},
		"its first answer is a failure":    {tally{1, 1}, tally{}, tally{1e6, 0}, true},
		"one failure, where none ever was": {tally{1000, 1}, tally{1000, 0}, tally{1e6, 0}, true},
		"the same share":                   {tally{1000, 10}, tally{1000, 10}, tally{1e6, 1e4}, false},
		"a little bad luck":                {tally{1000, 15}, tally{1000, 10}, tally{1e6, 1e4}, false},
		"twice the share":                  {tally{1000, 25}, tally{1000, 10}, tally{1e6, 1e4}, true},
		"an outage of both":                {tally{50, 45}, tally{50, 40}, tally{1e6, 0}, false},
		"rare failures, few requests":      {tally{100, 1}, tally{0, 0}, tally{1000, 10}, false},
		"no old worker was left to ask":    {tally{100, 50}, tally{0, 0}, tally{1e6, 10}, true},
	} {
		if got := worse(test.candidate, test.sameTime, test.life); got != test.want {
			t.Errorf("%s: worse is %v", name, got)
		}
	}
}
