//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// workload is one kind of request. Its name is its path and, but for echo10k, the file in
// the data folder with the body that is expected back.
type workload struct {
	name, about string
	post        bool // send the file and expect it back
	size        int
}

func workloads() []workload {
	return []workload{
		{name: "hello", about: "GET, 13 bytes", size: 13},
		{name: "json2k", about: "GET, 2 KiB of JSON", size: 2 << 10},
		{name: "body64k", about: "GET, 64 KiB", size: 64 << 10},
		{name: "echo10k", about: "POST, 10 KiB echoed", size: 10 << 10, post: true},
		{name: "file1m", about: "GET, a file of 1 MiB", size: 1 << 20},
	}
}

// content is the same in every run: the generator has a fixed seed.
func (w workload) content() []byte {
	switch w.name {
	case "hello":
		return []byte("Hello, world\n")
	case "json2k":
		return jsonOf(w.size)
	}
	letters := rand.New(rand.NewPCG(1, 2))
	body := make([]byte, w.size)
	for i := range body {
		body[i] = 'a' + byte(letters.IntN(26))
	}
	return body
}

// jsonOf pads the last string so that the document has exactly size bytes.
func jsonOf(size int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"horses":[`)
	for i := 1; b.Len() < size-200; i++ {
		fmt.Fprintf(&b, `{"id":%d,"name":"horse %d","stable":%d,"fed":true},`, i, i, i%7)
	}
	b.WriteString(`{"id":0}],"note":"`)
	b.Write(bytes.Repeat([]byte("x"), size-b.Len()-2))
	b.WriteString(`"}`)
	return b.Bytes()
}

// writeData makes the folder that every server and every wrk script reads.
func writeData(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, w := range workloads() {
		if err := os.WriteFile(filepath.Join(folder, w.name), w.content(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// check makes one request and compares every byte of the answer: a fast wrong answer must
// never become a row of the table.
func (w workload) check(client *http.Client, site string) error {
	method, body := http.MethodGet, io.Reader(nil)
	if w.post {
		method, body = http.MethodPost, bytes.NewReader(w.content())
	}
	req, err := http.NewRequest(method, site+"/"+w.name, body)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return w.compare(method+" "+req.URL.String(), resp)
}

// compare reads the answer to its end and wants the workload's bytes.
func (w workload) compare(request string, resp *http.Response) error {
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read the answer to %s: %w", request, err)
	}
	if resp.StatusCode != http.StatusOK || !bytes.Equal(got, w.content()) {
		return fmt.Errorf("%s was answered %s with %d bytes, want 200 with the %d bytes of %s",
			request, resp.Status, len(got), w.size, w.name)
	}
	return nil
}

// oneByOne is a client that does what browsers do not: wait for each answer before the next
// request, over one connection.
func oneByOne() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxConnsPerHost: 1, DisableCompression: true}}
}
