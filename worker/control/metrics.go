package control

import (
	"encoding/binary"
	"fmt"
	"iter"
	"time"
)

// MaxMetrics is the largest answer to a Gather, all parts together.
const MaxMetrics = 16 << 20

// Gather asks a worker for the metrics of its application.
type Gather struct {
	ID      uint64        // from 1; comes back in the answer
	Timeout time.Duration // what is not there by then is left out
}

// Metrics is an answer to Gather, or part of one: the application's metric families, each
// a protobuf message (io.prometheus.client.MetricFamily) behind its length as a varint.
// This package does not look into them.
type Metrics struct {
	ID      uint64 // of the Gather; 0: nobody asked, these are a draining worker's last
	More    bool   // another part follows
	Partial bool   // something is missing that may come another time
	Data    []byte
}

func (Gather) kind() kind  { return kindGather }
func (Metrics) kind() kind { return kindMetrics }

// The body of a Metrics is not JSON, which would make each of its bytes a third longer and
// a scrape several times as expensive: ID u64 big-endian, flags u8, data.
const (
	metricsHead        = 8 + 1
	flagMore      byte = 1
	flagPartial   byte = 2
	metricsInPart      = MaxFrame - metricsHead
)

func (m Metrics) encode() ([]byte, error) {
	if len(m.Data) > metricsInPart {
		return nil, fmt.Errorf("encode %T: %d bytes of data, the limit is %d", m, len(m.Data), metricsInPart)
	}
	body := make([]byte, metricsHead, metricsHead+len(m.Data))
	binary.BigEndian.PutUint64(body, m.ID)
	if m.More {
		body[8] |= flagMore
	}
	if m.Partial {
		body[8] |= flagPartial
	}
	return append(body, m.Data...), nil
}

// decodeMetrics takes over body.
func decodeMetrics(body []byte) (Message, error) {
	if len(body) < metricsHead {
		return nil, fmt.Errorf("decode %T: %d bytes, a head has %d", Metrics{}, len(body), metricsHead)
	}
	m := Metrics{
		ID:      binary.BigEndian.Uint64(body),
		More:    body[8]&flagMore != 0,
		Partial: body[8]&flagPartial != 0,
	}
	if len(body) > metricsHead {
		m.Data = body[metricsHead:]
	}
	return m, nil
}

// Parts gives m in pieces that fit frames, at least one.
func (m Metrics) Parts() iter.Seq[Metrics] {
	return func(yield func(Metrics) bool) {
		rest := m.Data
		for {
			part := m
			part.Data = rest[:min(len(rest), metricsInPart)]
			rest = rest[len(part.Data):]
			part.More = len(rest) > 0
			if !yield(part) || !part.More {
				return
			}
		}
	}
}

// Assembly puts parts together again, for one connection.
//
// Invariant: it never holds more than MaxMetrics, whatever it is given.
type Assembly struct {
	id      uint64
	open    bool // parts came, and more are to follow
	refused bool // they were too many; the rest is let pass
	whole   []byte
}

// State is what is there of an answer, for who goes on with the connection in another
// program; nil if there is nothing.
func (a *Assembly) State() *Assembled {
	if !a.open {
		return nil
	}
	return &Assembled{ID: a.id, Refused: a.refused, Data: a.whole}
}

// Resume goes on from the State of another Assembly.
func (a *Assembly) Resume(s *Assembled) {
	if s != nil {
		*a = Assembly{id: s.ID, open: true, refused: s.Refused, whole: s.Data}
	}
}

// Assembled is the State of an Assembly.
type Assembled struct {
	ID      uint64
	Refused bool
	Data    []byte
}

// Add takes the next part. done says that whole is a complete answer. A part of another
// answer while one is open means that the sender gave that one up. An answer that is too
// long is an error once, and forgotten.
func (a *Assembly) Add(part Metrics) (whole Metrics, done bool, err error) {
	if !a.open || a.id != part.ID {
		*a = Assembly{id: part.ID}
		if !part.More {
			return part, true, nil // the usual one: nothing is copied
		}
	}
	a.open = part.More
	switch {
	case a.refused:
	case len(a.whole)+len(part.Data) > MaxMetrics:
		a.refused, a.whole = true, nil
		err = fmt.Errorf("metrics of more than %d bytes", MaxMetrics)
	default:
		a.whole = append(a.whole, part.Data...)
	}
	if a.open || a.refused {
		return Metrics{}, false, err
	}
	whole = part
	whole.Data, a.whole = a.whole, nil
	return whole, true, nil
}
