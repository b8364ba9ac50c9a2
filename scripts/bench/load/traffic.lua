-- Orders for wrk: wrk -s traffic.lua URL -- BASKET_FILE PREFIX TRAFFIC AGAIN_AFTER.
-- The traffic is plain, replays or mixed: the same orders as orders.ts makes.
-- A request is joined from prepared parts, because the generator shares the processor with the servers it measures.
local AGAIN_EVERY = { plain = 0, replays = 20, mixed = 10 }
local threads = {}

function setup(thread)
  thread:set('place', #threads)
  threads[#threads + 1] = thread
end

made, repeated, short = 0, 0, 0
local baskets, chosen, count, prefix, traffic, again_every, again_after = {}, {}, 0, '', 'plain', 0, 0

-- The parts of a request around its id, which occurs once for the order and once for each line.
local function parts_of(skus, quantity, head, id_length)
  local around = { '{"order_id":"', '","lines":[{"order_detail_id":"' }
  for number, sku in ipairs(skus) do
    local rest = '-' .. number .. '","sku_id":"' .. sku .. '","quantity":' .. quantity .. '}'
    around[#around + 1] = rest .. (number < #skus and ',{"order_detail_id":"' or ']}')
  end
  local length = (#around - 1) * id_length
  for _, part in ipairs(around) do length = length + #part end
  around[1] = head .. 'Content-Length: ' .. length .. '\r\n\r\n' .. around[1]
  return around
end

local function request_of(around, id)
  if #around == 3 then return around[1] .. id .. around[2] .. id .. around[3] end
  return table.concat(around, id)
end

function init(args)
  prefix, traffic, again_after = args[2] .. '-' .. place .. '-', args[3], tonumber(args[4])
  again_every = AGAIN_EVERY[traffic]
  local host = 'Host: ' .. wrk.host .. ':' .. wrk.port .. '\r\n'
  local head = 'POST /v1/deductions HTTP/1.1\r\n' .. host .. 'Content-Type: application/json\r\n'
  local id_length = #prefix + 8
  for line in io.lines(args[1]) do
    local skus = {}
    for sku in line:gmatch('[^,]+') do skus[#skus + 1] = sku end
    baskets[#baskets + 1] = {
      enough = parts_of(skus, 1, head, id_length),
      short = parts_of(skus, 1000000, head, id_length),
    }
  end
  math.randomseed(place + 1)
end

local function new_order()
  local basket = math.random(#baskets)
  chosen[made % again_after] = basket
  made = made + 1
  return request_of(baskets[basket].enough, prefix .. string.format('%08d', made - 1))
end

function request()
  if again_every == 0 then return new_order() end
  count = count + 1
  if traffic == 'mixed' and count % 20 == 5 then
    short = short + 1
    return request_of(baskets[math.random(#baskets)].short, prefix .. string.format('%08d', 90000000 + short))
  end
  if count % again_every == 0 and made >= again_after then
    repeated = repeated + 1
    return request_of(baskets[chosen[made % again_after]].enough, prefix .. string.format('%08d', made - again_after))
  end
  return new_order()
end

function done(summary, latency)
  local sum = { made = 0, repeated = 0, short = 0 }
  for _, thread in ipairs(threads) do
    for name in pairs(sum) do sum[name] = sum[name] + thread:get(name) end
  end
  local errors = summary.errors
  print(string.format(
    '{"requests":%d,"refused":%d,"broken":%d,"seconds":%.6f,"made":%d,"repeated":%d,"short":%d,' ..
      '"cpuSeconds":%.3f,"p50Ms":%.3f,"p99Ms":%.3f}',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, sum.made, sum.repeated, sum.short, os.clock(),
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
  ))
end
