//go:build !linux

package stats

// QueueLength is known on Linux only.
func QueueLength(int) int { return 0 }

// QueueOverflows is known on Linux only.
func QueueOverflows(int) uint64 { return 0 }
