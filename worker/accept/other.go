//go:build !linux

package accept

import "net"

// Listen gives ln back.
func Listen(ln net.Listener) (net.Listener, error) { return ln, nil }

// Keep gives ln back.
func Keep(ln net.Listener) net.Listener { return ln }
