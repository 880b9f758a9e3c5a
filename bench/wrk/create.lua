-- One create, BENCH_BODY, over and over, by each of the callers in BENCH_TOKENS in turn if there are any; the harness
-- reads the line that done() prints.
dofile(os.getenv("BENCH_DONE"))
wrk.method = "POST"
wrk.path = "/vtid/create"
wrk.headers["Content-Type"] = "application/json"
wrk.body = os.getenv("BENCH_BODY")

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
