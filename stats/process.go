package stats

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ProcessResources counts what a process has open and runs on, as Linux shows it; 0 for a
// process that is gone, and on systems without Linux's /proc.
func ProcessResources(pid int) (fds, threads int) {
	dir := procDir(pid)
	return openFDs(dir + "/fd"), parseThreads(readProc(dir + "/stat"))
}

func procDir(pid int) string { return "/proc/" + strconv.Itoa(pid) }

// readProc is the beginning of one of the kernel's one-line files, nil if it is not there. It
// is not os.ReadFile because that asks ten things of the system, not three, and this is done
// for every worker of every look at the stats.
func readProc(name string) []byte {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	line := make([]byte, 512)
	n, err := unix.Read(fd, line)
	if err != nil {
		return nil
	}
	return line[:n]
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
