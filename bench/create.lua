-- One create, over and over; the harness reads the line that done() prints.
wrk.method = "POST"
wrk.path = "/vtid/create"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"taskFamily":"DEPLOY","taskType":"service","description":"Deploy the gateway of the payments service to the '
	.. 'staging cluster, and watch its error rate for ten minutes.","tenant":"system","assignedTo":"agent-7",'
	.. '"metadata":{"service":"gateway","region":"eu-west-1","attempt":1,"labels":["payments","staging"]}}'

function done(summary, latency)
	local errors = summary.errors
	print(string.format("BENCH %d %d %d %d %d %d %d %d %d", summary.requests, summary.duration, errors.connect,
		errors.read, errors.write, errors.status, errors.timeout, latency:percentile(50), latency:percentile(99)))
end
