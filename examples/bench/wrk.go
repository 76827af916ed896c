//go:build linux

package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

//go:embed peers/report.lua
var reportLua string

// load is what wrk saw. All errors it knows are counted, so none is overlooked.
type load struct {
	Requests uint64 `json:"requests"`
	Micros   uint64 `json:"micros"`
	Bytes    uint64 `json:"bytes"`
	P50      uint64 `json:"p50"` // microseconds
	P99      uint64 `json:"p99"`

	Connect uint64 `json:"connect"`
	Read    uint64 `json:"read"`
	Write   uint64 `json:"write"`
	Timeout uint64 `json:"timeout"`
	Status  uint64 `json:"status"` // 400 and above
}

func (l load) perSecond() float64 { return float64(l.Requests) / (float64(l.Micros) / 1e6) }

func (l load) errors() uint64 { return l.Connect + l.Read + l.Write + l.Timeout + l.Status }

// failures is what went wrong, or nil. size is the body that each answer had to have.
func (l load) failures(size int) error {
	if l.errors() > 0 {
		return fmt.Errorf("errors: %d connecting, %d reading, %d writing, %d timeouts, %d answers of 400 and above",
			l.Connect, l.Read, l.Write, l.Timeout, l.Status)
	}
	if l.Requests == 0 {
		return errors.New("not one answer")
	}
	if l.Bytes < l.Requests*uint64(size) {
		return fmt.Errorf("%d answers had %d bytes together, want at least %d in each", l.Requests, l.Bytes, size)
	}
	return nil
}

// wrk drives one server. The scripts change no request while it runs, so wrk calls no Lua
// per request.
func (f *field) wrk(ctx context.Context, site string, w workload, conns int, d time.Duration) (load, error) {
	script := filepath.Join(f.dir, w.name+".lua")
	if err := os.WriteFile(script, []byte(scriptFor(filepath.Join(f.built, "data", w.name), w)), 0o644); err != nil {
		return load{}, err
	}
	seconds := max(1, int(d.Round(time.Second)/time.Second))
	cmd := exec.CommandContext(ctx, "wrk", "-t", strconv.Itoa(min(2, conns)), "-c", strconv.Itoa(conns),
		"-d", strconv.Itoa(seconds)+"s", "--timeout", "10s", "-s", script, site+"/"+w.name)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return load{}, fmt.Errorf("%v: %w: %s", cmd.Args, err, problems.Bytes())
	}
	return parseWrk(out.Bytes())
}

func scriptFor(body string, w workload) string {
	if !w.post {
		return reportLua
	}
	return fmt.Sprintf("wrk.method = \"POST\"\nlocal f = io.open(%q, \"rb\")\nwrk.body = f:read(\"*a\")\nf:close()\n%s",
		body, reportLua)
}

// parseWrk finds the line of report.lua behind the text that wrk prints before it.
func parseWrk(out []byte) (load, error) {
	var l load
	at := bytes.LastIndexByte(out, '{')
	if at < 0 {
		return l, fmt.Errorf("wrk printed no summary: %q", out)
	}
	if err := json.NewDecoder(bytes.NewReader(out[at:])).Decode(&l); err != nil {
		return l, fmt.Errorf("read wrk's summary %q: %w", out[at:], err)
	}
	return l, nil
}
