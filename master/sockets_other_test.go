//go:build !linux

package master

const peerPIDIsKnown = false
