-- Reads of one task, at random of those that the arguments name: the VTID's prefix, the first number and the last.
dofile(os.getenv("BENCH_DONE"))

-- Each thread its own random numbers.
local threads = 0

function setup(thread)
	thread:set("part", threads)
	threads = threads + 1
end

local prefix, first, last, head, tail

function init(args)
	prefix, first, last = args[1], tonumber(args[2]), tonumber(args[3])
	head, tail = wrk.format("GET", "/vtid/@"):match("^(.-)@(.*)$")
	math.randomseed(os.time() * 64 + part)
end

function request()
	return head .. string.format("%s%04d", prefix, math.random(first, last)) .. tail
end
