package master

import (
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	// maxWords is what is kept of what a process printed.
	maxWords = 32 << 10

	// wordsPatience is how long the words of a reaped process are waited for: only a
	// descriptor that leaked to a grandchild could keep the end of them from coming.
	wordsPatience = time.Second
)

// birth reads what a process prints until it is ready: passes it on to the log, and keeps
// the end. A program that dies in the init of a package, or calls log.Fatal in New, says
// why nowhere else.
type birth struct {
	pipes   [2]*os.File // read ends
	reading sync.WaitGroup

	mu  sync.Mutex
	end []byte // at most maxWords
}

// newBirth makes the pipes and begins to read. The caller closes the ends when the process
// has them.
func newBirth(logs [2]*os.File) (b *birth, ends [2]*os.File, err error) {
	b = &birth{}
	for i := range ends {
		if b.pipes[i], ends[i], err = os.Pipe(); err != nil {
			b.close()
			closeAll(ends[:])
			return nil, ends, err
		}
	}
	for i, log := range logs {
		from := b.pipes[i]
		b.reading.Go(func() { _, _ = io.Copy(io.MultiWriter(b, unfailing{log}), from) })
	}
	return b, ends, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// unfailing drops what a log does not take: its full disk must not end the reading.
type unfailing struct{ io.Writer }

func (u unfailing) Write(p []byte) (int, error) {
	_, _ = u.Writer.Write(p)
	return len(p), nil
}

func (b *birth) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end = append(b.end, p...)
	b.end = b.end[max(0, len(b.end)-maxWords):]
	return len(p), nil
}

// words waits for the end, and closes. A log that stalls keeps its line, not us.
func (b *birth) words() string {
	done := make(chan struct{})
	go func() { b.reading.Wait(); close(done) }()
	patience := time.NewTimer(wordsPatience)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
	}
	b.close()
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.end)
}

func (b *birth) close() { closeAll(b.pipes[:]) }

// crashWords reads what the runtime of a process printed when it crashed.
func crashWords(f *os.File) string {
	text := make([]byte, maxWords)
	n, _ := f.ReadAt(text, 0)
	return withCause(strings.TrimSpace(string(text[:n])))
}

// withCause puts a first line over stacks that have none. The runtime prints what a fatal
// error is about before it begins to copy what it prints (golang.org/issue/76859): that line is
// in the log alone, so here it is told by the functions on the stack.
func withCause(words string) string {
	if !strings.HasPrefix(words, "goroutine ") && !strings.HasPrefix(words, "runtime stack:") {
		return words // nothing, or a panic or a signal with its line
	}
	first, _, _ := strings.Cut(words, "\n\n")
	cause := "the log has it"
	for _, c := range [...]struct{ function, cause string }{
		{"internal/runtime/maps.fatal(", "concurrent map writes, or reads and writes"},
		{"runtime.newstack(", "stack overflow: the stack of a goroutine reached its limit"},
		{"runtime.(*mheap).grow(", "out of memory"},
		{"runtime.sysMap", "out of memory"},
		{"runtime.checkdead(", "all goroutines are asleep - deadlock"},
	} {
		if strings.Contains(first, c.function) {
			cause = c.cause
			break
		}
	}
	return "fatal error (told by its stack): " + cause + "\n\n" + words
}
