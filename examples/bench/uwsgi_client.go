//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"time"
)

// uwsgiRequest is a GET as nginx with its uwsgi_params would send it: four bytes of header
// (modifier 0, length u16 little-endian, 0), then names and values, each with its length.
func uwsgiRequest(path string) []byte {
	packet := make([]byte, 4)
	for _, v := range [][2]string{
		{"QUERY_STRING", ""}, {"REQUEST_METHOD", "GET"}, {"CONTENT_TYPE", ""}, {"CONTENT_LENGTH", ""},
		{"REQUEST_URI", path}, {"PATH_INFO", path}, {"DOCUMENT_ROOT", "/usr/share/nginx/html"},
		{"SERVER_PROTOCOL", "HTTP/1.1"}, {"REQUEST_SCHEME", "http"}, {"REMOTE_ADDR", "127.0.0.1"},
		{"REMOTE_PORT", "40000"}, {"SERVER_PORT", "80"}, {"SERVER_NAME", "localhost"}, {"HTTP_HOST", "localhost"},
	} {
		for _, text := range v {
			packet = binary.LittleEndian.AppendUint16(packet, uint16(len(text)))
			packet = append(packet, text...)
		}
	}
	binary.LittleEndian.PutUint16(packet[1:], uint16(len(packet)-4))
	return packet
}

// askUWSGI makes one request over a connection of its own, as the protocol has it.
func askUWSGI(ctx context.Context, socket string, w workload) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := conn.Write(uwsgiRequest("/" + w.name)); err != nil {
		return fmt.Errorf("send a uwsgi request to %s: %w", socket, err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", socket, err)
	}
	defer resp.Body.Close()
	return w.compare("GET uwsgi://"+socket+"/"+w.name, resp)
}

// inTurn makes n requests, each after the answer to the one before.
func inTurn(ctx context.Context, n int, ask func() error) error {
	for range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := ask(); err != nil {
			return err
		}
	}
	return nil
}
