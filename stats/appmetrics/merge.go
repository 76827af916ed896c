package appmetrics

import (
	"fmt"
	"strings"
)

// Merge is how the values of a gauge in several workers become one. Its numbers are part
// of the contract between a master and a worker, see docs/control.md.
type Merge uint8

const (
	Sum       Merge = iota + 1 // things there are: connections, items in a queue
	Max                        // the worst or the latest: a lag, a timestamp
	Min                        // the oldest: a start time
	Last                       // what the worker that was started last says: a version, a setting
	PerWorker                  // a series for each worker, with the label worker="N"
)

func (m Merge) String() string {
	switch m {
	case Sum:
		return "sum"
	case Max:
		return "max"
	case Min:
		return "min"
	case Last:
		return "last"
	case PerWorker:
		return "per worker"
	}
	return fmt.Sprintf("Merge(%d)", uint8(m))
}

// Valid reports whether m is one of the constants.
func (m Merge) Valid() bool { return m >= Sum && m <= PerWorker }

// Rules name the merge of metrics by their name. A key that ends with "*" is for every
// name that begins with what stands before it; of several the longest counts.
type Rules map[string]Merge

// Check refuses a rule that means nothing.
func (r Rules) Check() error {
	for name, m := range r {
		if !m.Valid() {
			return fmt.Errorf("gauge %q: %s is no way to merge", name, m)
		}
		if strings.Contains(strings.TrimSuffix(name, "*"), "*") || name == "" {
			return fmt.Errorf("gauge %q: a * may only stand at the end of a name", name)
		}
	}
	return nil
}

// find returns zero if no rule is for name.
func (r Rules) find(name string) Merge {
	if m, ok := r[name]; ok {
		return m
	}
	for n := len(name); n >= 0; n-- {
		if m, ok := r[name[:n]+"*"]; ok {
			return m
		}
	}
	return 0
}

// usual is the merge of a gauge nobody made a rule for. Most gauges count things that
// there are, and things add up over processes; these do not.
func usual(name string) Merge {
	switch name {
	case "process_virtual_memory_max_bytes", // a limit, as a rule "none"
		"go_gc_gogc_percent", "go_gc_gomemlimit_bytes", // settings
		"go_memstats_gc_cpu_fraction",
		"go_memstats_last_gc_time_seconds":
		return Max
	}
	switch {
	case strings.HasSuffix(name, "_start_time_seconds"):
		return Min
	case strings.HasSuffix(name, "_info"), strings.HasSuffix(name, "_timestamp_seconds"):
		return Max
	}
	return Sum
}

// sharedCounters are those of Go's process collector that the kernel keeps for the whole
// network namespace: every worker reports the same traffic, and the sum would be N times it.
func sharedCounter(name string) bool {
	return strings.HasPrefix(name, "process_network_") && strings.HasSuffix(name, "_bytes_total")
}
