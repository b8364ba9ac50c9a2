-- Deducts stock once per id.
-- KEYS: the stock of the SKU, the flow of the id. ARGV: the quantity.
-- Returns 1 when the units were deducted, 2 when the id was deducted before, 0 when too few units are left.
if redis.call('GET', KEYS[2]) then return 2 end
local left = tonumber(redis.call('GET', KEYS[1]) or '0')
local quantity = tonumber(ARGV[1])
if left < quantity then return 0 end
redis.call('SET', KEYS[2], ARGV[1])
redis.call('DECRBY', KEYS[1], ARGV[1])
return 1
