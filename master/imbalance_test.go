package master

import "testing"

func TestImbalanceIsTheBusiestOverTheMean(t *testing.T) {
	type look = map[int]uint64
	grown := func(from look, by ...uint64) look {
		now := look{}
		for i, n := range by {
			now[i+1] = from[i+1] + n
		}
		return now
	}
	many := []look{{1: 0, 2: 0}} // one worker does all, then the other for longer than is remembered
	for range shareLooks {
		many = append(many, grown(many[len(many)-1], 100, 0))
	}
	for range shareLooks {
		many = append(many, grown(many[len(many)-1], 100, 300))
	}
	for name, tc := range map[string]struct {
		looks []look
		want  int
	}{
		"nothing yet":                 {nil, even},
		"one look":                    {[]look{{1: 5, 2: 900}}, 100},
		"even":                        {[]look{{1: 100, 2: 7}, {1: 200, 2: 107}}, 100},
		"one does everything":         {[]look{{1: 0, 2: 0, 3: 0, 4: 0}, {1: 100, 2: 0, 3: 0, 4: 0}}, 400},
		"three to one":                {[]look{{1: 0, 2: 0}, {1: 150, 2: 50}}, 150},
		"too few":                     {[]look{{1: 0, 2: 0}, {1: 39, 2: 0}}, 100},
		"one worker":                  {[]look{{1: 0}, {1: 1000}}, 100},
		"no workers":                  {[]look{{}, {}}, 100},
		"a newcomer begins from zero": {[]look{{1: 0}, {1: 1000}, {1: 1000, 2: 0}, {1: 1100, 2: 100}}, 100},
		"who left does not count":     {[]look{{1: 0, 2: 0, 3: 0}, {1: 100, 2: 100, 3: 900}, {1: 200, 2: 200}, {1: 300, 2: 300}}, 100},
		"the last looks only":         {many, 150},
	} {
		t.Run(name, func(t *testing.T) {
			var s shares
			for _, l := range tc.looks {
				s.note(l)
			}
			if got := s.imbalance(); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
