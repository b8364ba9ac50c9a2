-- Begins a new era of one partition. Values stored before are no longer used.
--
-- KEYS[1]   the era of the partition; any value is overwritten
-- ARGV[1]   the new era, hexadecimal digits
-- ARGV[2]   milliseconds after which it expires
--
-- Returns seconds and microseconds of the node's clock, its run_id, the new era, and the previous era; empty: none.

local time = redis.call('TIME')
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
local before = redis.pcall('GET', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { time[1], time[2], run_id, ARGV[1], type(before) == 'string' and before or '' }
