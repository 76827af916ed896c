package config

import "testing"

func TestRulesOfScaling(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string // none: accepted
	}{
		"without cheaper":               {"cheaper-step = 2\nidle = 60\ncheaper-max = 3", []string{"2: cheaper-step: needs cheaper, the number of workers that always stay", "3: idle: needs cheaper", "4: cheaper-max: unknown key"}},
		"more stay than there are":      {"cheaper = 3\ncheaper-initial = 9\nprocesses = 2", []string{"2: cheaper: 3 is more than there may be, processes is 2"}},
		"as many stay as there are":     {"cheaper = 3\nprocesses = 3", nil},
		"the later limit is blamed":     {"processes = 2\ncheaper = 1\ncheaper-busyness-min = 60\ncheaper-busyness-max = 60", []string{"5: cheaper-busyness-max: 60 percent is not more than cheaper-busyness-min, 60"}},
		"limits of another algorithm":   {"processes = 2\ncheaper = 1\ncheaper-algo = 'backlog'\ncheaper-busyness-max = 60", []string{`5: cheaper-busyness-max: cheaper-algo is "backlog", which goes by cheaper-overload`}},
		"a refused number of processes": {"processes = 0\ncheaper = 99", []string{"2: processes: 0 is too few"}},
		"a refused limit":               {"processes = 2\ncheaper = 1\ncheaper-busyness-min = -1\ncheaper-busyness-max = 1", []string{"4: cheaper-busyness-min: -1 is too few"}},
		"no master":                     {"master = false\ncheaper = 1", []string{"3: cheaper: needs a master"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if text := "socket = 'a'\n" + tc.text; tc.want == nil {
				mustParse(t, text)
			} else {
				wantErrors(t, text, tc.want...)
			}
		})
	}
}
