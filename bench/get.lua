-- Reads of one task, at random of those that the arguments name: the VTID's prefix, and how many there are.
local requests = {}

function init(args)
	for number = 1, tonumber(args[2]) do
		requests[number] = wrk.format("GET", string.format("/vtid/%s%04d", args[1], number))
	end
end

function request()
	return requests[math.random(#requests)]
end

function done(summary, latency)
	local errors = summary.errors
	print(string.format("BENCH %d %d %d %d %d %d %d %d %d", summary.requests, summary.duration, errors.connect,
		errors.read, errors.write, errors.status, errors.timeout, latency:percentile(50), latency:percentile(99)))
end
