package stats

import (
	"bytes"
	"os"
	"strconv"
)

// ProcessMemory gives a process's resident and virtual size in bytes, as Linux shows
// them; 0 for a process that is gone and on systems without Linux's /proc.
func ProcessMemory(pid int) (rss, vsz uint64) {
	return parseStatm(readProc(procDir(pid)+"/statm"), uint64(os.Getpagesize()))
}

// parseStatm reads "size resident ...", in pages.
func parseStatm(statm []byte, page uint64) (rss, vsz uint64) {
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0, 0
	}
	size, err1 := strconv.ParseUint(string(fields[0]), 10, 64)
	resident, err2 := strconv.ParseUint(string(fields[1]), 10, 64)
	if err1 != nil || err2 != nil {
		return 0, 0
	}
	return resident * page, size * page
}
