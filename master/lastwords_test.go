package master

import (
	"strings"
	"testing"
)

// The stacks are the runtime's own, of Go 1.26.
func TestAFatalErrorIsToldByItsStack(t *testing.T) {
	const rest = "\n\ngoroutine 7 [running]:\nmain.work()\n\t/src/main.go:7 +0x1"
	for words, want := range map[string]string{
		"":                                     "",
		"panic: boom" + rest:                   "panic: boom" + rest,
		"SIGQUIT: quit\nPC=0x1" + rest:         "SIGQUIT: quit\nPC=0x1" + rest,
		"fatal error: a line at last\n" + rest: "fatal error: a line at last\n" + rest,
		"goroutine 31 [running]:\ninternal/runtime/maps.fatal({0x1?, 0x2?})\n\tpanic.go:1181 +0x18": "fatal error (told by its stack): concurrent map writes, or reads and writes",
		"runtime stack:\nruntime.throw({0x1?, 0x2?})\nruntime.newstack()" + rest:                    "fatal error (told by its stack): stack overflow",
		"runtime stack:\nruntime.throw({0x1?, 0x2?})\nruntime.(*mheap).grow(0x1, 0x8?)" + rest:      "fatal error (told by its stack): out of memory",
		"runtime stack:\nruntime.throw({0x1?, 0x2?})\nruntime.whatever()" + rest:                    "fatal error (told by its stack): the log has it",
	} {
		got := withCause(words)
		if cause, _, _ := strings.Cut(got, "\n\n"); got != want && !strings.HasPrefix(cause, want) || !strings.HasSuffix(got, words) {
			t.Errorf("%q\nbecame %q\nwant   %q", words, got, want)
		}
	}
}
