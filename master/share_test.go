package master

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed17661985/ostler/master/cgroup"
	"github.com/seed17661985/ostler/worker/control"
)

func TestTheMachineIsSharedOut(t *testing.T) {
	for name, tc := range map[string]struct {
		cpus    int
		limits  cgroup.Limits
		plan    Plan
		workers int
		want    control.Share
	}{
		"even":                    {cpus: 8, workers: 4, want: control.Share{Procs: 2}},
		"rounded up":              {cpus: 8, workers: 3, want: control.Share{Procs: 3}},
		"more workers than CPUs":  {cpus: 2, workers: 8, want: control.Share{Procs: 1}},
		"a quota":                 {cpus: 64, limits: cgroup.Limits{CPUs: 2.5}, workers: 2, want: control.Share{Procs: 2}},
		"a small quota":           {cpus: 64, limits: cgroup.Limits{CPUs: 0.1}, workers: 2, want: control.Share{Procs: 1}},
		"a quota beyond all CPUs": {cpus: 4, limits: cgroup.Limits{CPUs: 9}, workers: 1, want: control.Share{Procs: 4}},
		"memory":                  {cpus: 1, limits: cgroup.Limits{Memory: 1000 << 20}, workers: 3, want: control.Share{Procs: 1, Memory: 300 << 20}},
		"hardly any memory":       {cpus: 1, limits: cgroup.Limits{Memory: 64 << 20}, workers: 64, want: control.Share{Procs: 1, Memory: memoryLeast}},
		"bound to fewer":          {cpus: 8, plan: Plan{Affinity: 1}, workers: 2, want: control.Share{Procs: 1}},
		"bound to more":           {cpus: 8, plan: Plan{Affinity: 8}, workers: 2, want: control.Share{Procs: 4}},
		"decided by the operator": {cpus: 8, limits: cgroup.Limits{Memory: 1 << 30}, plan: Plan{Env: []string{"GOMAXPROCS=7", "GOMEMLIMIT=off"}}, workers: 2},
		"decided in part":         {cpus: 8, limits: cgroup.Limits{Memory: 1 << 30}, plan: Plan{Env: []string{"GOMEMLIMIT="}}, workers: 2, want: control.Share{Procs: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			got := tc.plan.share(resourcesOf(tc.cpus, tc.limits), tc.workers)
			if got.Procs != tc.want.Procs || got.Memory>>20 != tc.want.Memory>>20 {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestAWorkerIsBornWithItsShare(t *testing.T) {
	for want, s := range map[string]Spec{
		"A=b OSTLER_WORKER=2 GOMAXPROCS=3 GOMEMLIMIT=1000": {Share: control.Share{Procs: 3, Memory: 1000}, Env: []string{"A=b", "NOTIFY_SOCKET=x"}},
		"GOMAXPROCS=7 OSTLER_WORKER=2":                     {Env: []string{"GOMAXPROCS=7"}},
	} {
		if got := strings.Join(environ(s), " "); got != want {
			t.Errorf("the environment is %s, want %s", got, want)
		}
	}
}

func TestCPUsAreHandedOutInTurn(t *testing.T) {
	for name, tc := range map[string]struct {
		cpus []int
		n    int
		want [][]int // by slot, from 1
	}{
		"one each":         {[]int{0, 1, 2, 3}, 1, [][]int{{0}, {1}, {2}, {3}, {0}}},
		"two each":         {[]int{0, 1, 2, 3}, 2, [][]int{{0, 1}, {2, 3}, {0, 1}}},
		"they do not fit":  {[]int{0, 1, 2}, 2, [][]int{{0, 1}, {2, 0}, {1, 2}}},
		"a part of them":   {[]int{4, 6}, 1, [][]int{{4}, {6}, {4}}},
		"more than exist":  {[]int{0, 1}, 5, [][]int{{0, 1}, {0, 1}}},
		"not asked for":    {[]int{0, 1}, 0, [][]int{{}, {}}},
		"nobody knows any": {nil, 2, [][]int{{}, {}}},
	} {
		for i, want := range tc.want {
			if got := turn(tc.cpus, tc.n, i+1); !slices.Equal(got, want) {
				t.Errorf("%s: slot %d has %v, want %v", name, i+1, got, want)
			}
		}
	}
}
