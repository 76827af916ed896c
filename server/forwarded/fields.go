package forwarded

import (
	"context"
	"iter"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// The fields that are believed.
const (
	fieldFor   = "X-Forwarded-For"   // addresses; each proxy appends who connected to it
	fieldProto = "X-Forwarded-Proto" // "http" or "https"; Traefik also says ws and wss
	fieldHost  = "X-Forwarded-Host"
)

type schemeKey struct{}

// Scheme returns "https" or "http" as a trusted proxy said, or "" if none did.
func Scheme(r *http.Request) string {
	s, _ := r.Context().Value(schemeKey{}).(string)
	return s
}

// Handler gives next the client's address, host and scheme where the peer is trusted.
//
// The request is changed in place: net/http removes the temporary files of the form it
// finds in the request that it made, and in no copy.
func (t Trust) Handler(next http.Handler) http.Handler {
	if !t.Anybody() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if t.request(r) {
			t.believe(r)
		}
		next.ServeHTTP(w, r)
	})
}

// request reports whether r comes from a trusted peer. Whatever has no IP address came
// over a unix socket.
func (t Trust) request(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return t.Unix
	}
	return t.address(peer.Addr())
}

func (t Trust) believe(r *http.Request) {
	client, hops := t.client(r.Header[fieldFor])
	if client != "" {
		r.RemoteAddr = client
	}
	// Proxies that append to the one field append to all: the client's hop is the same
	// distance from the end. A field that is shorter was replaced, not appended to.
	hops = max(hops, 1)
	if host := fromEnd(r.Header[fieldHost], hops); validHost(host) {
		r.Host = host
	}
	switch strings.ToLower(fromEnd(r.Header[fieldProto], hops)) {
	case "https", "wss":
		setScheme(r, "https")
	case "http", "ws":
		setScheme(r, "http")
	}
}

func setScheme(r *http.Request, scheme string) {
	*r = *r.WithContext(context.WithValue(r.Context(), schemeKey{}, scheme))
}

// client walks from the nearest proxy outwards and stops at the first address that is not
// a trusted proxy: only trusted ones may say who came before them. It returns "" if not
// even the first entry is an address.
func (t Trust) client(values []string) (client string, hops int) {
	for entry := range backwards(values) {
		if entry == "unix:" && t.Unix { // what nginx calls a client on a unix socket
			hops++
			continue
		}
		ip, ok := parseEntry(entry)
		if !ok {
			break
		}
		hops++
		client = ip.String()
		if !t.address(ip.Addr()) {
			break
		}
	}
	return client, hops
}

// parseEntry takes an address with or without a port. Port 0 says that it is not known.
func parseEntry(s string) (netip.AddrPort, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), true
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		s = strings.TrimSuffix(inner, "]")
	}
	ip, err := netip.ParseAddr(s)
	return netip.AddrPortFrom(ip.Unmap(), 0), err == nil
}

// fromEnd gives the n-th element from the end of a list, or its first if it is shorter.
func fromEnd(values []string, n int) (element string) {
	for element = range backwards(values) {
		if n--; n == 0 {
			break
		}
	}
	return element
}

// backwards yields the elements of a list field from the last one to the first.
func backwards(values []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, v := range slices.Backward(values) {
			for rest, more := v, true; more; {
				comma := strings.LastIndexByte(rest, ',')
				if !yield(strings.Trim(rest[comma+1:], " \t")) {
					return
				}
				if more = comma >= 0; more {
					rest = rest[:comma]
				}
			}
		}
	}
}

// validHost keeps out what would not be a host in a URL that the application builds.
func validHost(h string) bool {
	if h == "" || len(h) > 260 || strings.Trim(h, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") != "" {
		return false
	}
	if strings.Count(h, ":") > 1 || strings.ContainsAny(h, "[]") {
		name, port, err := net.SplitHostPort(h)
		if err != nil {
			name, port = strings.TrimSuffix(strings.TrimPrefix(h, "["), "]"), ""
			if len(name)+2 != len(h) {
				return false
			}
		}
		ip, err := netip.ParseAddr(name)
		return err == nil && ip.Is6() && strings.Trim(port, "0123456789") == ""
	}
	name, port, _ := strings.Cut(h, ":")
	return name != "" && strings.Trim(port, "0123456789") == ""
}
