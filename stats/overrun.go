package stats

// MaxOverruns is how many requests that took too long a Snapshot remembers.
const MaxOverruns = 10

// Overrun is a request that has used up half of its time (harakiri) or more.
type Overrun struct {
	Worker     int        `json:"worker"`
	PID        int        `json:"pid"`
	Generation int        `json:"generation"`
	ID         uint64     `json:"id"` // of the request, in its process
	Method     string     `json:"method"`
	Path       string     `json:"path"`
	Peer       string     `json:"peer"`
	Start      int64      `json:"start"`   // epoch seconds
	Percent    int        `json:"percent"` // of its limit, at the last look; 100: its time is over
	LimitMS    int64      `json:"limit_ms"`
	Looks      List[Look] `json:"looks"`
}

// Look is where a request stood at one moment.
type Look struct {
	Percent int    `json:"percent"`
	AgeMS   int64  `json:"age_ms"`
	Stack   string `json:"stack"` // of its goroutine and those it has started
}
