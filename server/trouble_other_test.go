//go:build !linux

package server_test

// limitMemory is for the tests of crashes, which run on Linux.
func limitMemory(uint64) {}
