package stats

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	fetchTimeout = 10 * time.Second // also when the caller's context has no deadline
	maxDocument  = 64 << 20
)

// Fetch asks a stats server over http. addr is "host:port", the path of a unix socket,
// "@name" of an abstract one, or an http:// URL.
func Fetch(ctx context.Context, addr string) (Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	s, err := fetch(ctx, addr)
	if err != nil {
		return Snapshot{}, fmt.Errorf("fetch stats from %s: %w", addr, err)
	}
	return s, nil
}

func fetch(ctx context.Context, addr string) (Snapshot, error) {
	target, dial := route(addr)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return Snapshot{}, err
	}
	client := http.Client{
		// No proxy from the environment: a stats address is a local one.
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a stats server does not redirect; what does is something else
		},
	}
	res, err := client.Do(req)
	if err != nil {
		return Snapshot{}, unwrapURL(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return Snapshot{}, fmt.Errorf("answered %s", res.Status)
	}
	return read(res.Body, maxDocument)
}

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// route gives the URL to ask for and the way there.
func route(addr string) (target string, dial dialFunc) {
	var d net.Dialer
	switch {
	case strings.HasPrefix(addr, "http://"):
		return addr, d.DialContext
	case strings.ContainsAny(addr, "/@"):
		return "http://localhost/stats", func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", addr)
		}
	}
	return "http://" + addr + "/stats", d.DialContext
}

// unwrapURL drops the "Get http://...:" that names a made-up URL for a unix socket.
func unwrapURL(err error) error {
	if u, ok := err.(*url.Error); ok {
		return u.Err
	}
	return err
}

// read decodes a document of at most limit bytes.
func read(r io.Reader, limit int64) (Snapshot, error) {
	var s Snapshot
	bounded := &io.LimitedReader{R: r, N: limit + 1}
	err := json.NewDecoder(bounded).Decode(&s)
	if bounded.N == 0 {
		return Snapshot{}, fmt.Errorf("the document is longer than %d bytes", limit)
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("not a stats document: %w", err)
	}
	return s, nil
}
