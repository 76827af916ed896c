package appmetrics

import (
	"cmp"
	"slices"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// maxLabels bounds the labels of a series, and maxLabelBytes all their text.
const (
	maxLabels     = 64
	maxLabelBytes = 16 << 10
)

// label is one of a series.
type label struct{ name, value string }

// parseLabels reads the bytes of rawMetric.labels, and sorts.
func parseLabels(b []byte) ([]label, error) {
	var all []label
	size := 0
	err := eachField(b, func(x field) error {
		var l label
		err := eachField(x.bytes, func(y field) error {
			switch y.num {
			case labelName:
				l.name = string(y.bytes)
			case labelValue:
				l.value = string(y.bytes)
			}
			return nil
		})
		size += len(l.name) + len(l.value)
		if err != nil || l.name == "" || !utf8.ValidString(l.name) || !utf8.ValidString(l.value) || len(all) == maxLabels || size > maxLabelBytes {
			return errMalformed
		}
		all = append(all, l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, byName)
	for i := 1; i < len(all); i++ {
		if all[i].name == all[i-1].name {
			return nil, errMalformed
		}
	}
	return all, nil
}

func byName(a, b label) int { return cmp.Compare(a.name, b.name) }

// labelKey is the one form that labels have as bytes, which is the form that
// client_golang writes. Two series are the same if it is.
func labelKey(labels []label) string {
	var b, one []byte
	for _, l := range labels {
		one = protowire.AppendTag(one[:0], labelName, protowire.BytesType)
		one = protowire.AppendString(one, l.name)
		one = protowire.AppendTag(one, labelValue, protowire.BytesType)
		one = protowire.AppendString(one, l.value)
		b = protowire.AppendTag(b, metricLabel, protowire.BytesType)
		b = protowire.AppendBytes(b, one)
	}
	return string(b)
}

func labelPairs(labels []label) []*dto.LabelPair {
	pairs := make([]*dto.LabelPair, len(labels))
	for i, l := range labels {
		pairs[i] = &dto.LabelPair{Name: proto.String(l.name), Value: proto.String(l.value)}
	}
	return pairs
}

// workerLabel is what PerWorker adds. A label of that name which is there already gets out
// of the way as it does in Prometheus.
const workerLabel = "worker"

func withWorker(labels []label, worker string) []label {
	all := append(make([]label, 0, len(labels)+1), labels...)
	for name := workerLabel; ; {
		n := slices.IndexFunc(all, func(l label) bool { return l.name == name })
		all = append(all, label{name, worker})
		if n < 0 {
			break
		}
		name = "exported_" + name
		worker = all[n].value
		all = slices.Delete(all, n, n+1)
	}
	slices.SortFunc(all, byName)
	return all
}
