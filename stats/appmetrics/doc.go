// Package appmetrics makes one set of Prometheus metrics of those that an application keeps
// in each of its worker processes.
//
//	worker: registry ─▶ Collector.Dump ─▶ bytes      (control connection)
//	master:                               bytes ─▶ Store.Put, Store.Retire ─▶ Store.Gather
//	the next program of the master:                Store.Save ─▶ bytes ─▶ Restore
//
// It promises: counters, histograms and the counts of summaries are sums over all worker
// processes there have been, and never go backwards, whatever exits, restarts or comes
// back; a store that is saved and restored goes on as if it had not been; gauges are of the processes that live; no bytes, however malformed or hostile, make
// it panic, wait, or hold more than its limits; a collector that panics or does not return
// costs its metrics and not those of the others. It does not know how the bytes travel, nor
// when a process is ready.
package appmetrics
