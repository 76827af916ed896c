//go:build race

package worker

// The race detector makes sync.Pool forget things on purpose.
const forgetful = true
