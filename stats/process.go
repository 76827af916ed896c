package stats

import (
	"bytes"
	"os"
	"strconv"
)

// ProcessResources counts what a process has open and runs on, as Linux shows it; 0 for a
// process that is gone, and on systems without Linux's /proc.
func ProcessResources(pid int) (fds, threads int) {
	dir := "/proc/" + strconv.Itoa(pid)
	if stat, err := os.ReadFile(dir + "/stat"); err == nil {
		threads = parseThreads(stat)
	}
	return openFDs(dir + "/fd"), threads
}

// openFDs asks for the size of the folder, which is the number since Linux 6.2. Before that
// it is zero, and the names have to be read, for which one has to be the owner.
func openFDs(dir string) int {
	st, err := os.Stat(dir)
	if err != nil {
		return 0
	}
	if n := st.Size(); n > 0 {
		return int(n)
	}
	return countNames(dir)
}

func countNames(dir string) int {
	f, err := os.Open(dir)
	if err != nil {
		return 0
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	return len(names)
}

// parseThreads reads field 20. The second is the name of the program in parentheses, which
// may contain anything, so fields are counted from its end.
func parseThreads(stat []byte) int {
	const place = 20 - 3
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= place {
		return 0
	}
	n, err := strconv.ParseUint(string(fields[place]), 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}
