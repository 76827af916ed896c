package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/seed17661985/ostler/stats"
)

// ctlClient speaks to the control socket of a running master.
type ctlClient struct {
	path     string
	http     *http.Client
	patience time.Duration // with a question that a healthy master answers at once
}

// statusPatience is generous: a machine that is out of memory is slow.
const statusPatience = 10 * time.Second

func newCtlClient(path string) *ctlClient {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	return &ctlClient{
		path:     path,
		http:     &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}},
		patience: statusPatience,
	}
}

// errRolledBack is a reload that the master refused or took back; the old
// program serves on.
var errRolledBack = errors.New("reload was taken back, the program that ran before still serves")

// reload tells of each step of a reload and returns its outcome.
func (c *ctlClient) reload(ctx context.Context, step func(reloadStep)) (reloadAnswer, error) {
	body, err := c.open(ctx, http.MethodPost, ctlReload)
	if err != nil {
		return reloadAnswer{}, err
	}
	defer body.Close()
	for lines := json.NewDecoder(body); ; {
		var a reloadAnswer
		if err := lines.Decode(&a); err != nil {
			return a, c.explain(err)
		}
		if a.Done {
			return a, a.err()
		}
		step(reloadStep{Generation: a.Generation, Phase: a.Phase})
	}
}

// request asks for a reload and leaves.
func (c *ctlClient) request(ctx context.Context) (reloadAnswer, error) {
	var a reloadAnswer
	err := c.call(ctx, http.MethodPost, ctlReload+"?nowait=1", &a)
	return a, err
}

// err is what the command ends with.
func (a reloadAnswer) err() error {
	switch {
	case a.OK:
		return nil
	case a.Busy:
		return &exitError{code: exitBusy, text: a.Error}
	case a.Phase == "":
		return fmt.Errorf("%w: %s", errRolledBack, a.Error)
	}
	return fmt.Errorf("%w (%s): %s%s", errRolledBack, a.Phase, a.Error, quoted(a.Words))
}

// stop returns when the master's process has ended.
func (c *ctlClient) stop(ctx context.Context, now bool) (stopAnswer, error) {
	path := ctlStop
	if now {
		path += "?now=1"
	}
	var a stopAnswer
	err := c.call(ctx, http.MethodPost, path, &a)
	return a, err
}

func (c *ctlClient) status(ctx context.Context) (stats.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	var s stats.Snapshot
	err := c.call(ctx, http.MethodGet, ctlStatus, &s)
	return s, err
}

// call sends one command and reads its answer to the end of the connection.
func (c *ctlClient) call(ctx context.Context, method, path string, answer any) error {
	from, err := c.open(ctx, method, path)
	if err != nil {
		return err
	}
	defer from.Close()
	body, err := io.ReadAll(from)
	if len(body) == 0 && err != nil {
		return c.explain(err)
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("control socket %s: answer is not understood: %w", c.path, err)
	}
	return nil
}

// maxComplaint bounds what is repeated of an answer that is none.
const maxComplaint = 4 << 10

// open sends one command and gives what the master answers.
func (c *ctlClient) open(ctx context.Context, method, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://control"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxComplaint))
		return nil, fmt.Errorf("control socket %s answered %s: %s", c.path, resp.Status, text)
	}
	return resp.Body, nil
}

// explain turns the transport's words into what the operator needs to know.
func (c *ctlClient) explain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("control socket %s: the master does not answer: it hangs, or was stopped (SIGSTOP)", c.path)
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("nothing is running here: control socket %s: %w", c.path, op.Err)
	}
	return fmt.Errorf("control socket %s: the master went away before it answered: %w", c.path, err)
}
