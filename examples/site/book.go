package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxName    = 60
	maxMessage = 500
	shown      = 50       // entries on the page
	tail       = 64 << 10 // bytes read back for them
)

// entry is one line of the guest book.
type entry struct {
	Time    time.Time `json:"time"`
	Name    string    `json:"name"`
	Message string    `json:"message"`
}

// check trims what a visitor typed and says, in a visitor's words, what is wrong with it.
func (e *entry) check() (problem string) {
	e.Name, e.Message = strings.TrimSpace(e.Name), strings.TrimSpace(e.Message)
	switch {
	case e.Name == "":
		return "Please give a name."
	case e.Message == "":
		return "Please write a line or two."
	case utf8.RuneCountInString(e.Name) > maxName:
		return fmt.Sprintf("The name is longer than %d characters.", maxName)
	case utf8.RuneCountInString(e.Message) > maxMessage:
		return fmt.Sprintf("The message is longer than %d characters.", maxMessage)
	}
	return ""
}

// book is the guest book: one JSON object a line, appended to by every worker process.
type book struct{ file *os.File }

func openBook(path string) (*book, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the guest book: %w", err)
	}
	return &book{f}, nil
}

func (b *book) Close() error { return b.file.Close() }

// add appends e with one write. With O_APPEND the kernel keeps the lines of several
// processes whole and apart, so no lock is needed.
func (b *book) add(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = b.file.Write(append(line, '\n'))
	return err
}

// latest returns the newest entries, newest first. A last line that another process is
// still writing has no end yet and waits for the next visitor.
func (b *book) latest() ([]entry, error) {
	info, err := b.file.Stat()
	if err != nil {
		return nil, err
	}
	from := max(0, info.Size()-tail)
	text, err := io.ReadAll(io.NewSectionReader(b.file, from, info.Size()-from))
	if err != nil {
		return nil, err
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	if from > 0 {
		lines = lines[1:] // begins in the middle
	}
	var entries []entry
	for _, line := range slices.Backward(lines) {
		var e entry
		if bytes.HasSuffix(line, []byte("\n")) && json.Unmarshal(line, &e) == nil && len(entries) < shown {
			entries = append(entries, e)
		}
	}
	return entries, nil
}
