package uwsgi

import "net/http"

// usualHeaders is how many header values a request may have before the lists of them need
// memory of their own. Browsers send about a dozen.
const usualHeaders = 16

// headerList gathers header values in their order, before it is known how many there are.
type headerList struct {
	n    int
	few  [usualHeaders]headerValue
	more []headerValue // from usualHeaders on
}

// headerValue has a canonical key.
type headerValue struct{ key, value string }

func (l *headerList) add(key, value string) {
	if l.n < len(l.few) {
		l.few[l.n] = headerValue{key, value}
	} else {
		l.more = append(l.more, headerValue{key, value})
	}
	l.n++
}

func (l *headerList) at(i int) *headerValue {
	if i < len(l.few) {
		return &l.few[i]
	}
	return &l.more[i-len(l.few)]
}

// drop removes every value of key.
func (l *headerList) drop(key string) {
	kept := headerList{}
	for i := range l.n {
		if v := l.at(i); v.key != key {
			kept.add(v.key, v.value)
		}
	}
	*l = kept
}

// header makes the map. The values of different keys share one array, values if it is
// long enough; each is cut to its capacity, so that appending to it moves it away and
// does not write over its neighbour.
func (l *headerList) header(values []string) http.Header {
	if l.n > cap(values) {
		values = make([]string, 0, l.n)
	}
	values = values[:0]
	h := make(http.Header, l.n)
	var seen uint64 // a bit for each key, not its own: most keys need not be looked up
	for i := range l.n {
		v := l.at(i)
		bit := uint64(1) << ((uint(len(v.key))*7 + uint(v.key[0])*3 + uint(v.key[len(v.key)-1])) % 64)
		if seen&bit != 0 {
			if before := h[v.key]; before != nil {
				h[v.key] = append(before, v.value)
				continue
			}
		}
		seen |= bit
		values = append(values, v.value)
		h[v.key] = values[len(values)-1 : len(values) : len(values)]
	}
	return h
}
