package uwsgi

import (
	"bufio"
	"net/http"
	"strings"
)

// incoming is a uwsgi packet up to its body, taken apart in one pass: checked, counted, and
// its variables sorted by what they become. It hands out pieces of one string and so
// costs that string only. It may be on the stack, or be zeroed and used again.
type incoming struct {
	Header
	block  string
	count  int   // of variables
	length int64 // CONTENT_LENGTH
	cgi
}

// read fills p, which is zero. Its error is that of ReadRequest. What makes a packet no
// HTTP request is left to newRequest: a ping need not be one.
func (p *incoming) read(br *bufio.Reader, l Limits) (err error) {
	if p.Header, err = readHeader(br); err != nil {
		return err
	}
	p.mounted = p.Modifier1 == ModifierMounted
	var mem strings.Builder
	if err := readBlock(&mem, br, int(p.Size)); err != nil {
		return err
	}
	if err := p.parse(&mem, l.MaxVars); err != nil {
		return err
	}
	if p.length, err = p.bodyLength(); err != nil {
		return err
	}
	if l.MaxBody > 0 && p.length > l.MaxBody {
		return refuse(http.StatusRequestEntityTooLarge,
			"body of %d bytes is over the limit of %d", p.length, l.MaxBody)
	}
	return nil
}

// parse walks the block in mem to its end whatever it finds out about single variables:
// a block that is malformed further on is refused for that.
func (p *incoming) parse(mem *strings.Builder, most int) error {
	block := mem.String()
	p.block = block
	for at := 0; at < len(block); p.count++ {
		name, value, next, ok := nextVar(block, at)
		if !ok {
			return varFault(block, at)
		}
		at = next
		if most == 0 || p.count < most {
			p.sort(mem, name, value)
		}
	}
	if most > 0 && p.count > most {
		return refuse(http.StatusRequestHeaderFieldsTooLarge,
			"%d variables are over the limit of %d", p.count, most)
	}
	p.joinRemote(mem)
	return nil
}
