// Package appmetrics makes one set of Prometheus metrics of those that an application keeps
// in each of its worker processes.
//
//	worker: registry ─▶ Collector.Dump ─▶ bytes      (control connection)
//	master:                               bytes ─▶ Store.Put, Store.Retire ─▶ Store.Gather
//
// It promises: counters, histograms and the counts of summaries are sums over all worker
// processes there have been, and never go backwards, whatever exits, restarts or comes
// back; gauges are of the processes that live; no bytes, however malformed or hostile, make
// it panic, wait, or hold more than its limits; a collector that panics or does not return
// costs its metrics and not those of the others. It does not know how the bytes travel, nor
// when a process is ready.
package appmetrics
