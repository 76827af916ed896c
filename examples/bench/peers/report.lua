-- Appended to every wrk script: the summary as one line of JSON, in whole microseconds,
-- instead of the rounded text that wrk prints for people.
function done(summary, latency, requests)
	local e = summary.errors
	io.write(string.format(
		'{"requests":%d,"micros":%d,"bytes":%d,"p50":%d,"p99":%d,' ..
		'"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\n',
		summary.requests, summary.duration, summary.bytes,
		latency:percentile(50), latency:percentile(99),
		e.connect, e.read, e.write, e.timeout, e.status))
end
