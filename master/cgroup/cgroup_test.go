package cgroup

import (
	"os"
	"path/filepath"
	"testing"
)

const (
	v2Mount    = "30 22 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
	v1CPU      = "31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
	v1Memory   = "34 30 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	otherMount = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 0:5 /x /a\\040b rw shared:1 master:2 - tmpfs tmpfs rw\n35 30 0:32 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\nnonsense\n"
	v1Maximum  = "9223372036854771712\n"
)

func TestTheTightestLimitOfAllGroupsCounts(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  Limits
	}{
		"no control groups": {nil, Limits{}},
		"version 2, no limits": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": otherMount + v2Mount,
			"sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.high": "max\n",
		}, Limits{}},
		"version 2, its own": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/b/cpu.max": "150000 100000\n", "sys/fs/cgroup/a/b/memory.max": "1073741824\n",
		}, Limits{1.5, 1 << 30}},
		"version 2, of those above": {map[string]string{
			"proc/self/cgroup": "0::/top/middle/own\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/top/cpu.max": "50000 100000\n", "sys/fs/cgroup/top/middle/memory.max": "1000000\n",
			"sys/fs/cgroup/top/middle/own/cpu.max": "400000 100000\n", "sys/fs/cgroup/top/middle/own/memory.max": "2000000\n",
		}, Limits{0.5, 1000000}},
		"version 2, high before max": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/memory.max": "2000000\n", "sys/fs/cgroup/a/memory.high": "1500000\n",
		}, Limits{0, 1500000}},
		"version 2, at the root of a container": {map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/cpu.max": "200000 100000\n", "sys/fs/cgroup/memory.max": "5000000\n",
		}, Limits{2, 5000000}},
		"version 2, mounted from above the container": {map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": "30 22 0:27 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/memory.max": "5000000\n",
		}, Limits{0, 5000000}},
		"version 1, own and above": {map[string]string{
			"proc/self/cgroup": "4:memory:/a/b\n2:cpu,cpuacct:/c\n0::/elsewhere\n", "proc/self/mountinfo": v1CPU + v1Memory,
			"sys/fs/cgroup/memory/memory.limit_in_bytes": v1Maximum, "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "3000000\n",
			"sys/fs/cgroup/memory/a/b/memory.limit_in_bytes":    v1Maximum,
			"sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us":      "300000\n",
			"sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us":     "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":        "-1\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us":       "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/c/memory.limit_in_bytes": "1\n", // of another controller
		}, Limits{3, 3000000}},
		"version 1, part of the tree": {map[string]string{
			"proc/self/cgroup":                           "4:memory:/docker/abc/x\n",
			"proc/self/mountinfo":                        "34 30 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "4000000\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "7000000\n",
		}, Limits{0, 4000000}},
		"version 1, a part with a similar name": {map[string]string{
			"proc/self/cgroup":                           "4:memory:/docker/abcd\n",
			"proc/self/mountinfo":                        "34 30 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "4000000\n", "sys/fs/cgroup/memory/d/memory.limit_in_bytes": "1\n",
		}, Limits{}},
		"the tightest is its own": {map[string]string{
			"proc/self/cgroup": "0::/top/own\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/top/own/cpu.max": "50000 100000\n", "sys/fs/cgroup/top/own/memory.max": "1000000\n",
			"sys/fs/cgroup/top/cpu.max": "400000 100000\n", "sys/fs/cgroup/top/memory.max": "2000000\n",
		}, Limits{0.5, 1000000}},
		"a mount with a space in its name": {map[string]string{
			"proc/self/cgroup": "0::/own\n", "proc/self/mountinfo": `30 23 0:26 / /a\040b rw - cgroup2 cgroup2 rw` + "\n",
			"a b/own/memory.max": "1000000\n",
		}, Limits{0, 1000000}},
		"somebody else's part of the hierarchy": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2Mount + "31 23 0:26 /other /mnt/other rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/a/memory.max": "9000000\n", "mnt/other/memory.max": "1000\n",
		}, Limits{0, 9000000}},
		"both versions": {map[string]string{
			"proc/self/cgroup":                             "4:memory:/a\n1:name=systemd:/b\n0::/c\n",
			"proc/self/mountinfo":                          v1Memory + "36 30 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "4000000\n", "sys/fs/cgroup/unified/c/cpu.max": "100000 100000\n",
		}, Limits{1, 4000000}},
		"what cannot be understood": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/cpu.max": "100000\n", "sys/fs/cgroup/a/memory.max": "much\n", "sys/fs/cgroup/cpu.max": "1 0\n", "sys/fs/cgroup/memory.max": "-5\n",
		}, Limits{}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, text := range tc.files {
				full := filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Read(root)
			if err != nil || got != tc.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tc.want)
			}
		})
	}
}

func TestThisMachineCanBeRead(t *testing.T) {
	l, err := Read("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", l)
}

func TestMountsThatCannotBeReadAreAnError(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "proc/self"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "proc/self/cgroup"), []byte("0::/\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if l, err := Read(root); err == nil {
		t.Errorf("got %+v", l)
	}
}
