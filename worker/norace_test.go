//go:build !race

package worker

const forgetful = false
