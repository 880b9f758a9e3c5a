-- Patches of the tasks that the arguments name: the VTID's prefix, the first number and the last. Each thread walks its
-- own part of them, round and round, so that no task is patched by two at a time; where there is one task alone, all
-- patch that one.
dofile(os.getenv("BENCH_DONE"))

local threads = 0

function setup(thread)
	thread:set("part", threads)
	threads = threads + 1
end

local prefix, first, count, step, heads
local turn = 0

function init(args)
	prefix, first, count, step = args[1], tonumber(args[2]), tonumber(args[3]) - tonumber(args[2]) + 1, tonumber(args[4])
	turn = part
	wrk.headers["Content-Type"] = "application/json"
	-- The attempt has nine digits, so that every body is of one length.
	heads = {wrk.format("PATCH", "/vtid/@", nil, '{"metadata":{"attempt":100000000}}'):match("^(.-)@(.-)100000000}}$")}
end

function request()
	turn = turn + step
	local task = count > 1 and string.format("%s%04d", prefix, first + turn % count) or string.format("%s%04d", prefix, first)
	return heads[1] .. task .. heads[2] .. string.format("%d}}", 100000000 + turn)
end
