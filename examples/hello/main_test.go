package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"testing"
)

func TestHelloNamesItsProcess(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	hello(rec, httptest.NewRequest("GET", "/", nil))
	if got, want := rec.Body.String(), fmt.Sprintf("Hello from worker process %d.\n", os.Getpid()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
