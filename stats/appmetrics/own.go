package appmetrics

import (
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// own is what the store says of itself, under the names that applications cannot have.
func (s *Store) own(v *view) []*dto.MetricFamily {
	age := 0.0
	for _, p := range v.live {
		age = max(age, s.now().Sub(p.taken).Seconds())
	}
	return []*dto.MetricFamily{
		s.droppedFamily(),
		gauge1("ostler_app_metrics_hidden_families", "Families not shown because of another of that name from a newer program.", float64(v.hidden)),
		gauge1("ostler_app_metrics_oldest_seconds", "Age of what the worker that was not heard for longest said last, in seconds.", age),
		gauge1("ostler_app_metrics_series", "Series held, those of exited workers included.", float64(s.total)),
		gauge1("ostler_app_metrics_workers", "Worker processes whose metrics are held and that have not exited.", float64(len(v.live))),
	}
}

func (s *Store) droppedFamily() *dto.MetricFamily {
	out := &dto.MetricFamily{
		Name: proto.String("ostler_app_metrics_dropped_total"),
		Help: proto.String("What of the application's metrics is not shown, once for each time a worker sent it."),
		Type: dto.MetricType_COUNTER.Enum(),
	}
	for why := reason(1); why <= lastReason; why++ {
		total := value{number: float64(s.dropped[why])}
		out.Metric = append(out.Metric, total.show(dto.MetricType_COUNTER, []label{{"reason", why.String()}}))
	}
	return out
}

func gauge1(name, help string, v float64) *dto.MetricFamily {
	return &dto.MetricFamily{
		Name: proto.String(name), Help: proto.String(help), Type: dto.MetricType_GAUGE.Enum(),
		Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: proto.Float64(v)}}},
	}
}
