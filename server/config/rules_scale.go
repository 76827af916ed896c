package config

import "slices"

// scales: without cheaper the number of workers is fixed, and who sets one of the other keys
// believes that it is not.
func (p *parser) scales(c *Config) {
	if !p.given("cheaper") {
		for _, o := range scaling(c) {
			if p.given(o.key) && !p.refused(o.key) {
				p.conflict(o.key, "needs cheaper, the number of workers that always stay")
			}
		}
		return
	}
	if p.refused("cheaper") || p.refused("processes") {
		return
	}
	if c.Cheaper > c.Processes {
		p.conflict("cheaper", "%d is more than there may be, processes is %d", c.Cheaper, c.Processes)
		return
	}
	if initial := c.CheaperInitial; initial != 0 && (initial < c.Cheaper || initial > c.Processes) {
		p.conflict("cheaper-initial", "%d is not from cheaper to processes, %d to %d", initial, c.Cheaper, c.Processes)
	}
	p.busyness(c)
}

// busyness checks the keys that only one of the algorithms reads.
func (p *parser) busyness(c *Config) {
	const low, high = "cheaper-busyness-min", "cheaper-busyness-max"
	for _, key := range []string{low, high, "cheaper-busyness-backlog-alert"} {
		if c.CheaperAlgo == "backlog" && p.given(key) && !p.refused(key) {
			p.conflict(key, "cheaper-algo is \"backlog\", which goes by cheaper-overload: remove one of them")
		}
	}
	if c.CheaperBusynessMin < c.CheaperBusynessMax || p.refused(low) || p.refused(high) {
		return
	}
	if !p.given(low) || p.given(high) && p.at.find(high) > p.at.find(low) {
		p.conflict(high, "%d percent is not more than %s, %d", c.CheaperBusynessMax, low, c.CheaperBusynessMin)
		return
	}
	p.conflict(low, "%d percent is not less than %s, %d", c.CheaperBusynessMin, high, c.CheaperBusynessMax)
}

// refused reports whether the value of a key was, so that its field says nothing.
func (p *parser) refused(key string) bool {
	return slices.ContainsFunc(p.errs, func(e *Error) bool { return e.Key == key })
}
