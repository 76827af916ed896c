package server_test

import (
	"errors"
	"io"
	"math"
	"net/http"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/seed17661985/ostler/server/servertest"
	"github.com/seed17661985/ostler/stats"
)

// A native histogram comes whole from the registries of four workers to a client that asks
// for protobuf, as Prometheus does: in its resolution, with every observation, and with those
// of the workers that a reload replaced.
func TestANativeHistogramComesThroughWhole(t *testing.T) {
	t.Parallel()
	i := servertest.Launch(t, counted)
	rt := i.HTTP("http").Transport
	var answered uint64
	mustTellAll := func(when string) {
		t.Helper()
		var h *dto.Histogram
		i.Until("every observation is told", func() bool {
			h = nativeHistogram(t, i, "app_took_seconds")
			return h.GetSampleCount() >= answered
		})
		mustHoldAll(t, when, h, answered)
	}
	for generation, when := range []string{"before a reload", "after it"} {
		if generation > 0 {
			if out, code := i.Command("reload"); code != 0 {
				t.Fatalf("reload: %s", out)
			}
			i.WaitFor("the old workers are gone", func(s stats.Snapshot) bool { return reloaded(s) == len(s.Workers) })
			mustTellAll("right after the reload")
		}
		load := servertest.Run(t, 8, hit(rt))
		i.Until("requests are answered", func() bool { return load.Done() > 100 })
		load.MustLoseNothing()
		answered += uint64(load.Done())
		mustTellAll(when)
	}
}

// reloaded counts the processes that a reload has replaced.
func reloaded(s stats.Snapshot) (n int) {
	for _, w := range s.Workers {
		n += int(w.Restarts.Reload)
	}
	return n
}

// mustHoldAll wants n observations of 2 ms, at the resolution that a factor of 1.1 gives.
func mustHoldAll(t *testing.T, when string, h *dto.Histogram, n uint64) {
	t.Helper()
	const schema, observed = 3, 0.002
	if h.GetSchema() != schema || h.GetSampleCount() != n || h.GetZeroCount() != 0 || math.Abs(h.GetSampleSum()-observed*float64(n)) > 1e-6*float64(n) {
		t.Errorf("%s: schema %d, %d observations, their sum is %v, want schema %d and %d of %v",
			when, h.GetSchema(), h.GetSampleCount(), h.GetSampleSum(), schema, n, observed)
	}
	if len(h.GetPositiveSpan()) != 1 || len(h.GetPositiveDelta()) != 1 || len(h.GetNegativeSpan()) != 0 {
		t.Fatalf("%s: spans %v with %v, and %v", when, h.GetPositiveSpan(), h.GetPositiveDelta(), h.GetNegativeSpan())
	}
	upper := math.Exp2(float64(h.GetPositiveSpan()[0].GetOffset()) / (1 << schema))
	if lower := upper / math.Exp2(1./(1<<schema)); h.GetPositiveDelta()[0] != int64(n) || observed <= lower || observed > upper {
		t.Errorf("%s: %d observations from %v to %v, want %d of %v", when, h.GetPositiveDelta()[0], lower, upper, n, observed)
	}
}

// nativeHistogram is the only histogram of that name. It is nil if there is none yet, and if
// this client was too slow to be taken for one that asks.
func nativeHistogram(t *testing.T, i *servertest.Instance, name string) *dto.Histogram {
	t.Helper()
	req := must(http.NewRequest(http.MethodGet, "http://stats/metrics", nil))
	req.Header.Set("Accept", "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")
	resp, err := i.HTTP("stats").Transport.RoundTrip(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	format := expfmt.ResponseFormat(resp.Header)
	if resp.StatusCode != http.StatusOK || format.FormatType() != expfmt.TypeProtoDelim {
		t.Fatalf("%s, Content-Type %q", resp.Status, resp.Header.Get("Content-Type"))
	}
	in := expfmt.NewDecoder(resp.Body, format)
	for {
		var f dto.MetricFamily
		if err := in.Decode(&f); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			t.Fatal(err)
		}
		if f.GetName() != name {
			continue
		}
		if f.GetType() != dto.MetricType_HISTOGRAM || len(f.GetMetric()) != 1 {
			t.Fatalf("%s is a %v with %d series", name, f.GetType(), len(f.GetMetric()))
		}
		return f.GetMetric()[0].GetHistogram()
	}
}
