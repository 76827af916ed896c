package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// kind is the byte after the length of a frame. Bit 6 is set in what the master says.
type kind uint8

const (
	kindHello   kind = 1 // {"Version":1,"PID":4711,"Build":"..."}
	kindReady   kind = 2 // {}
	kindFailed  kind = 3 // {"Stage":"build","Err":"..."}
	kindRetire  kind = 4 // {"Reason":"..."}
	kindMetrics kind = 5 // ID u64, flags u8, data
	kindOverrun kind = 6 // {"ID":7,"Method":"GET","Path":"/x","Percent":50,"Age":ns,"Limit":ns,"Stack":"..."}

	kindSetup  kind = 65 // {"Slot":1,"Generation":1,"Sockets":[...],"Config":...,"Mercy":ns,"Linger":ns}
	kindDrain  kind = 66 // {"Timeout":ns,"Linger":ns,"HeapProfile":"..."}
	kindReopen kind = 67 // {}
	kindGather kind = 68 // {"ID":1,"Timeout":ns}
	kindShare  kind = 69 // {"Procs":2,"Memory":bytes}
)

// Message is one of the structs below; no other type can be sent.
type Message interface {
	kind() kind
}

// Hello is a worker's first word. The master refuses a Version that is not its own.
type Hello struct {
	Version int
	PID     int
	Build   string
}

// Ready says that the application is built and every accept loop is armed.
type Ready struct{}

// Failed says why a worker cannot serve, in the application's own words, panic text and
// stack included. The worker exits after it.
type Failed struct {
	Stage string // what was being done: "contract", "setup", "build", ...
	Err   string
}

// Retire asks to be replaced: the worker keeps serving until its Drain comes.
type Retire struct {
	Reason string
}

// Overrun says where a request stands that has used up so many percent of its limit. At 100
// its time is over.
type Overrun struct {
	ID                 uint64
	Method, Path, Peer string
	Start              time.Time
	Percent            int
	Age, Limit         time.Duration
	Stack              string
}

// Socket names a listener. Proto is the protocol spoken on it: "uwsgi", "http" or
// "https".
type Socket struct {
	Name  string // "127.0.0.1:8000", "/run/x.sock", "@abstract"
	Proto string
}

// Setup is everything a worker has to know; it opens no configuration file of its own.
type Setup struct {
	Slot       int
	Generation int
	Sockets    []Socket        `json:",omitempty"` // socket i is descriptor FirstSocketFD+i
	Config     json.RawMessage `json:",omitempty"` // the parsed configuration, opaque here

	// What the worker uses for its own drain when the master is gone.
	Mercy  time.Duration
	Linger time.Duration
}

// Drain asks for the end: accept nothing new, finish within Timeout, keep idle
// connections open for Linger so that their next request is still served.
//
// HeapProfile is a file to which the worker writes what it holds in memory, before anything
// else; empty: none is wanted.
type Drain struct {
	Timeout     time.Duration
	Linger      time.Duration
	HeapProfile string `json:",omitempty"`
}

// Reopen asks the worker to open its log files again, after they were rotated away.
type Reopen struct{}

// Share is what a worker may use of the machine from now on, because others came or went. It
// was born with its first share. Zero changes nothing.
type Share struct {
	Procs  int    // GOMAXPROCS
	Memory uint64 // GOMEMLIMIT, in bytes
}

func (Hello) kind() kind   { return kindHello }
func (Ready) kind() kind   { return kindReady }
func (Failed) kind() kind  { return kindFailed }
func (Retire) kind() kind  { return kindRetire }
func (Overrun) kind() kind { return kindOverrun }
func (Setup) kind() kind   { return kindSetup }
func (Drain) kind() kind   { return kindDrain }
func (Reopen) kind() kind  { return kindReopen }
func (Share) kind() kind   { return kindShare }

// encode gives the body of m.
func encode(m Message) ([]byte, error) {
	if m, ok := m.(Metrics); ok {
		return m.encode()
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // six bytes for each < would eat into MaxFrame for nothing
	if err := enc.Encode(clip(m)); err != nil {
		return nil, fmt.Errorf("encode %T: %w", m, err)
	}
	body := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	if len(body) > MaxFrame {
		return nil, fmt.Errorf("encode %T: %d bytes, the limit is %d", m, len(body), MaxFrame)
	}
	return body, nil
}

// decode reads the body of a frame of kind k; known is false for a kind of a newer peer.
func decode(k kind, body []byte) (m Message, known bool, err error) {
	switch k {
	case kindHello:
		m, err = as[Hello](body)
	case kindReady:
		m, err = as[Ready](body)
	case kindFailed:
		m, err = as[Failed](body)
	case kindRetire:
		m, err = as[Retire](body)
	case kindOverrun:
		m, err = as[Overrun](body)
	case kindSetup:
		m, err = as[Setup](body)
	case kindDrain:
		m, err = as[Drain](body)
	case kindReopen:
		m, err = as[Reopen](body)
	case kindGather:
		m, err = as[Gather](body)
	case kindShare:
		m, err = as[Share](body)
	case kindMetrics:
		m, err = decodeMetrics(body)
	default:
		return nil, false, nil
	}
	if err != nil {
		return nil, true, err
	}
	return m, true, nil
}

// as does not refuse unknown fields: a newer peer may say more than we understand.
func as[M Message](body []byte) (Message, error) {
	var m M
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("decode %T: %w", m, err)
	}
	return m, nil
}

// clip shortens the texts an application can make arbitrarily long. A panic with an
// enormous message must still reach the operator; a frame over the limit would not.
func clip(m Message) Message {
	switch m := m.(type) {
	case Failed:
		return Failed{Stage: clipText(m.Stage), Err: clipText(m.Err)}
	case Retire:
		return Retire{Reason: clipText(m.Reason)}
	case Overrun:
		m.Stack = clipText(m.Stack)
		return m
	}
	return m
}

// maxText leaves room for two texts of nothing but control bytes, six bytes each in JSON.
const maxText = 64 << 10

func clipText(s string) string {
	if len(s) <= maxText {
		return s
	}
	const mark = " ... (cut)"
	return strings.ToValidUTF8(s[:maxText-len(mark)], "") + mark
}
