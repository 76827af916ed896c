package stats

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
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

// Fetch asks a stats server, ostler's or uWSGI's. addr is "host:port", the path of a unix
// socket, "@name" of an abstract one, or an http:// URL.
func Fetch(ctx context.Context, addr string) (Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	ask := fetch
	if strings.HasPrefix(addr, "http://") {
		ask = fetchURL
	}
	s, err := ask(ctx, addr)
	if err != nil {
		return Snapshot{}, fmt.Errorf("fetch stats from %s: %w", addr, err)
	}
	return s, nil
}

func fetchURL(ctx context.Context, target string) (Snapshot, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return Snapshot{}, err
	}
	client := http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, // no proxy from the environment: a stats address is a local one
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a stats server does not redirect; what does is something else
		},
	}
	res, err := client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // the caller names the address
		}
		return Snapshot{}, err
	}
	return readAnswer(res)
}

// fetch asks over http and takes an answer without it as well. uWSGI gives no other, and
// ostler takes a client for one that says nothing if its request is late, as on a machine
// that is busy enough to be looked at.
func fetch(ctx context.Context, addr string) (Snapshot, error) {
	network := "tcp"
	if strings.ContainsAny(addr, "/@") {
		network = "unix"
	}
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return Snapshot{}, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })() // ends what waits
	s, err := converse(c)
	if ctx.Err() != nil {
		return Snapshot{}, ctx.Err()
	}
	return s, err
}

func converse(c io.ReadWriter) (Snapshot, error) {
	_, unsent := io.WriteString(c, "GET /stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	answer := bufio.NewReader(c)
	first, err := answer.Peek(1)
	if err != nil {
		// What could not be sent matters only if no answer was there already.
		return Snapshot{}, fmt.Errorf("no answer: %w", cmp.Or(unsent, err))
	}
	if first[0] == '{' {
		return read(answer, maxDocument)
	}
	res, err := http.ReadResponse(answer, nil)
	if err != nil {
		return Snapshot{}, err
	}
	return readAnswer(res)
}

func readAnswer(res *http.Response) (Snapshot, error) {
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return Snapshot{}, fmt.Errorf("answered %s", res.Status)
	}
	return read(res.Body, maxDocument)
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
