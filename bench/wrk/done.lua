-- The line that the harness reads.
function done(summary, latency)
	local errors = summary.errors
	print(string.format("BENCH %d %d %d %d %d %d %d %d %d", summary.requests, summary.duration, errors.connect,
		errors.read, errors.write, errors.status, errors.timeout, latency:percentile(50), latency:percentile(99)))
end
