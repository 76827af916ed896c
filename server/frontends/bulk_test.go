package frontends

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/server/servertest"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

// bulk takes an upload and answers its checksum, or sends as many bytes as it is
// asked for.
func bulk(w http.ResponseWriter, r *http.Request) {
	if n, err := strconv.ParseInt(r.URL.Query().Get("bytes"), 10, 64); err == nil {
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		_, _ = io.Copy(w, io.LimitReader(&noise{}, n))
		return
	}
	sum, n, err := checksum(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%d bytes, %08x", n, sum)
}

func checksum(r io.Reader) (sum uint32, n int64, err error) {
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli)) // done by the processor
	n, err = io.Copy(h, r)
	return h.Sum32(), n, err
}

// noise is the same endless bytes each time. Its period is no power of two, so that a
// lost or doubled buffer shows.
type noise struct {
	block []byte
	at    int
}

func (s *noise) Read(p []byte) (int, error) {
	if s.block == nil {
		s.block = make([]byte, 1_000_003)
		_, _ = rand.NewChaCha8([32]byte{'o'}).Read(s.block) // never fails
	}
	n := copy(p, s.block[s.at:])
	s.at = (s.at + n) % len(s.block)
	return n, nil
}

// 1 GiB up and 1 GiB down through nginx, with buffering off, and the worker's memory
// stays below 32 MiB at its highest. The race detector multiplies memory, so the
// server is this test's own program built without it.
func TestAGibibyteStreamsThroughASmallWorker(t *testing.T) {
	const size = gib
	nginx := servertest.Peer(t, "nginx")
	program := filepath.Join(servertest.Dir(t), "frontends")
	if out, err := exec.Command("go", "test", "-c", "-buildvcs=false", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build without -race (for %s): %v\n%s", nginx, err, out)
	}
	i := servertest.LaunchAs(t, "module = \"bulk\"\nprocesses = 1\nsocket = \"$DIR/app.sock\"\n", servertest.Process{Program: program})
	base := startUnbufferedNginx(t, site{unix: filepath.Join(i.Dir, "app.sock")})
	want, _, err := checksum(io.LimitReader(&noise{}, size))
	if err != nil {
		t.Fatal(err)
	}

	sum, n := transfer(t, http.MethodPost, base+"/", size)
	if got := fmt.Sprintf("%d bytes, %08x", int64(size), want); string(sum) != got || n != int64(len(got)) {
		t.Errorf("up: the handler read %q, want %q", sum, got)
	}
	if got, n := download(t, fmt.Sprintf("%s/?bytes=%d", base, size)); got != want || n != size {
		t.Errorf("down: %d bytes, %08x, want %08x", n, got, want)
	}
	w := i.Stats().Workers[0]
	if peak := peakMemory(t, w.PID); peak > 32*mib {
		t.Errorf("the worker took up to %d MiB", peak/mib)
	} else {
		t.Logf("the worker took up to %.1f MiB", float64(peak)/mib)
	}
}

func transfer(t *testing.T, method, url string, size int64) ([]byte, int64) {
	t.Helper()
	resp, done := open(t, method, url, size)
	defer done()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b, int64(len(b))
}

func download(t *testing.T, url string) (uint32, int64) {
	t.Helper()
	resp, done := open(t, http.MethodGet, url, 0)
	defer done()
	sum, n, err := checksum(resp.Body)
	if err != nil {
		t.Fatalf("after %d bytes: %v", n, err)
	}
	return sum, n
}

func open(t *testing.T, method, url string, size int64) (*http.Response, func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	var body io.Reader = http.NoBody
	if size > 0 {
		body = io.LimitReader(&noise{}, size)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	tr := &http.Transport{WriteBufferSize: 256 << 10, ReadBufferSize: 256 << 10}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp, func() {
		resp.Body.Close()
		tr.CloseIdleConnections()
		cancel()
	}
}

// peakMemory is the highest resident size a process has had. Linux tells; elsewhere
// there is nothing to assert on.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("no peak of memory on this system: %v", err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatalf("VmHWM in\n%s", status)
	}
	return kib << 10
}
