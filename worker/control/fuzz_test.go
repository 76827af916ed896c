package control

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzRecv: no bytes make Recv panic, and what it accepts has one form on the wire.
func FuzzRecv(f *testing.F) {
	var all []byte
	for _, m := range everyMessage() {
		body, err := encode(m)
		if err != nil {
			f.Fatal(err)
		}
		one := frame(byte(m.kind()), string(body))
		f.Add(one)
		all = append(all, one...)
	}
	f.Add(all)
	f.Add(frame(99, "newer"))
	f.Add(frame(65, `{"Config":{ "a" : null },"Sockets":[]}`))
	f.Add(frame(3, `{"Err":"`+"\xff\\ud800"+`"}`))
	f.Add(binary.BigEndian.AppendUint32(nil, MaxFrame+2))
	f.Fuzz(func(t *testing.T, in []byte) {
		c := reading(in)
		for {
			m, err := c.Recv()
			if err != nil {
				return
			}
			first, err := encode(m)
			if err != nil {
				t.Skip() // a body near the limit may grow past it when it is escaped anew
			}
			again, known, err := decode(m.kind(), first)
			if !known || err != nil {
				t.Fatalf("decode(encode(%#v)): %v", m, err)
			}
			if second, err := encode(again); err != nil || !bytes.Equal(first, second) {
				t.Fatalf("%s is read as %s, %v", first, second, err)
			}
		}
	})
}

// FuzzSetup: decode(encode(x)) == x for the richest message.
func FuzzSetup(f *testing.F) {
	f.Add(1, 2, "127.0.0.1:8000", "http", []byte(`{"a":"<&>"}`), int64(30e9), int64(1))
	f.Add(-1, 0, "@\x00", "", []byte(`null`), int64(-1), int64(1<<62))
	f.Fuzz(func(t *testing.T, slot, gen int, name, proto string, config []byte, mercy, linger int64) {
		var compact bytes.Buffer
		if json.Compact(&compact, config) != nil || !utf8.ValidString(name) || !utf8.ValidString(proto) {
			t.Skip()
		}
		want := Setup{
			Slot: slot, Generation: gen, Sockets: []Socket{{Name: name, Proto: proto}},
			Config: compact.Bytes(), Mercy: time.Duration(mercy), Linger: time.Duration(linger),
		}
		body, err := encode(want)
		if err != nil {
			t.Skip()
		}
		got, _, err := decode(kindSetup, body)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("decode(encode(%#v)) = %#v, %v", want, got, err)
		}
	})
}
