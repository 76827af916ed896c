//go:build !linux

package master

// allowedCPUs: nobody knows, and no plan with an Affinity comes this far.
func allowedCPUs() []int { return nil }

func boundTo(_ []int, fork func() (int, error)) (int, error) { return fork() }
