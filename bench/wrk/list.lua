-- Lists of 50 by tenant and status, at random of those that the seed has: the arguments are the first number of a tenant
-- and the last, and then the statuses.
dofile(os.getenv("BENCH_DONE"))

-- Each thread its own random numbers.
local threads = 0

function setup(thread)
	thread:set("part", threads)
	threads = threads + 1
end

local requests = {}

function init(args)
	for tenant = tonumber(args[1]), tonumber(args[2]) do
		for index = 3, #args do
			local path = string.format("/vtid/list?tenant=tenant-%d&status=%s&limit=50", tenant, args[index])
			requests[#requests + 1] = wrk.format("GET", path)
		end
	end
	math.randomseed(os.time() * 64 + part)
end

function request()
	return requests[math.random(#requests)]
end
