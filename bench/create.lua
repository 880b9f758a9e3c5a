-- One create, over and over, by each of the callers in BENCH_TOKENS in turn if there are any; the harness reads the line
-- that done() prints.
wrk.method = "POST"
wrk.path = "/vtid/create"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"taskFamily":"DEPLOY","taskType":"service","description":"Deploy the gateway of the payments service to the '
	.. 'staging cluster, and watch its error rate for ten minutes.","tenant":"system","assignedTo":"agent-7",'
	.. '"metadata":{"service":"gateway","region":"eu-west-1","attempt":1,"labels":["payments","staging"]}}'

local requests = {}
local turn = 0

function init()
	for token in (os.getenv("BENCH_TOKENS") or ""):gmatch("%S+") do
		local headers = {["Authorization"] = "Bearer " .. token}
		for name, value in pairs(wrk.headers) do
			headers[name] = value
		end
		requests[#requests + 1] = wrk.format(nil, nil, headers)
	end
	if #requests == 0 then
		requests[1] = wrk.format()
	end
end

function request()
	turn = turn % #requests + 1
	return requests[turn]
end

function done(summary, latency)
	local errors = summary.errors
	print(string.format("BENCH %d %d %d %d %d %d %d %d %d", summary.requests, summary.duration, errors.connect,
		errors.read, errors.write, errors.status, errors.timeout, latency:percentile(50), latency:percentile(99)))
end
