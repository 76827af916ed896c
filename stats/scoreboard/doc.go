// Package scoreboard is a page of memory that a worker process writes and its master
// reads: how much each request slot has done, and which request it is doing now.
//
//	+0    header      magic, layout version, slots
//	+64   state       written now and then: state, heartbeat
//	+128  page sums   what no slot can be charged with: upgrades, average time
//	+192  waits       of requests that found no slot free, padded
//	+384  usage       what the process uses, written at each heartbeat
//	+448  apps        what is known of each app and was refused to it, and to none of them, padded
//	      slot 0      counters, padded | request in flight, padded | tally of each app and of none, padded
//	      slot 1      ...
//
// It promises: no two slots share a cache line; Begin and End allocate nothing and wait
// for nothing; a reader never sees half of one request and half of another; numbers are
// exact after SIGKILL; whatever is in the page, and whether its writer is alive, stopped
// or dead in the middle of a write, a reader returns at once and reads nothing outside
// the page. It does not know what a worker is, and never decides anything.
//
// This is the only package that uses unsafe.
package scoreboard
