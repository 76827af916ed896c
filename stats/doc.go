// Package stats is what ostler's numbers mean: plain types that marshal to the JSON of
// uWSGI 2.0's stats server, so that uwsgitop, uwsgi_exporter and the scripts of years
// read ostler unchanged.
//
//	scoreboard ── Counters ──▶ Ledger ──▶ Worker.Fill ──▶ Snapshot ──▶ JSON ──▶ Fetch
//	 (a process)            (a worker, dead               (the whole)
//	                         processes included)
//
// It promises: every field of uWSGI's schema is present, with uWSGI's name, unit and
// integer type, 0 and 1 where uWSGI has no booleans; what is ours comes under new keys
// only; a sum never goes backwards when a process ends; and no request variable, query
// string or header is ever part of it. It does not know where numbers come from, and
// keeps nothing.
package stats
