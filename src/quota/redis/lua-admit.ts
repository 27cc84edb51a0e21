/**
 * Takes all demands or none. Keys: q, r, g. Arguments: time; the time (by Redis' own clock, always) after which this is not to be done
 * any more; gateway; request; when the oldest request was admitted that the gateway has under way if its lease is to be renewed, else
 * empty; then for each demand: counter, period, the most there may be, amount, 1 = counts as used at once or 2 = is reserved.
 *
 * Answers 1 = admitted, 0 = refused, -1 = too late, nothing was done; the time of admission (too late: Redis' own); then for each
 * demand: used, reserved, milliseconds until there is room (-1 = never) and until all is back.
 */
export const ADMIT = `
local now, real = clock(ARGV[1])
-- The gateway gave this call up long ago; it may have let the request in by other means.
if real > tonumber(ARGV[2]) then return { -1, real } end

-- Nobody is refused for the sake of a gateway that is dead.
reclaim(now)
-- When the gateway says so, or does not know that its lease is gone: it was given up for dead, or Redis came back empty.
local record, leased = unpack(redis.call('HMGET', KEYS[2], ARGV[4], '#lease'))
if ARGV[5] ~= '' or not leased then renew(now, tonumber(ARGV[5])) end

local names, caps, amounts, places = {}, {}, {}, {}
local count = (#ARGV - 5) / 5
for n = 1, count do
  local i = 5 * n
  names[n], caps[n], amounts[n], places[n] = ARGV[i + 1], tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]), tonumber(ARGV[i + 5])
end

local packed = redis.call('HMGET', KEYS[1], unpack(names))
local lists, isNew, at = {}, true, now
for n = 1, count do
  isNew = isNew and not packed[n]
  lists[n] = packed[n] and cmsgpack.unpack(packed[n]) or { tonumber(ARGV[5 * n + 2]) }
  -- One time for all of them, so that whoever settles knows by it which part each amount was booked in.
  at = timeOf(lists[n], at)
end
local fit, used, reserved = true, {}, {}
for n = 1, count do
  lists[n] = counting(lists[n], at)
  used[n], reserved[n] = sums(lists[n])
  fit = fit and used[n] + reserved[n] + amounts[n] <= caps[n]
end

local answer = { 1, at }
if record then
  -- Sent again: nothing more is taken, and it was admitted when it was.
  answer[2] = cmsgpack.unpack(record)[1]
elseif fit then
  local fields, taken = {}, { at }
  for n = 1, count do
    if amounts[n] > 0 then
      local list, size = lists[n], #lists[n]
      local start = partOf(list[1], at)
      if list[size - 2] ~= start then
        list[size + 1], list[size + 2], list[size + 3] = start, 0, 0
        size = size + 3
      end
      local i = size - 2 + places[n]
      list[i] = list[i] + amounts[n]
      if places[n] == 1 then used[n] = used[n] + amounts[n] else reserved[n] = reserved[n] + amounts[n] end
      fields[#fields + 1] = names[n]
      fields[#fields + 1] = cmsgpack.pack(list)
      local next = #taken
      taken[next + 1], taken[next + 2], taken[next + 3], taken[next + 4] = names[n], start, places[n], amounts[n]
    end
  end
  if #fields > 0 then
    redis.call('HSET', KEYS[1], unpack(fields))
    -- The hash may be new.
    if isNew then redis.call('PEXPIRE', KEYS[1], KEPT) end
  end
  redis.call('HSET', KEYS[2], ARGV[4], cmsgpack.pack(taken))
else
  answer[1] = 0
end

for n = 1, count do
  local list, room = lists[n], 0
  local taken = used[n] + reserved[n]
  if answer[1] == 0 and taken + amounts[n] > caps[n] then
    room = -1
    if amounts[n] <= caps[n] and list[1] ~= EVER then
      local i = 2
      while room < 0 do
        taken = taken - list[i + 1] - list[i + 2]
        if taken + amounts[n] <= caps[n] then room = freeAt(list[1], list[i]) - at end
        i = i + 3
      end
    end
  end
  local next = #answer
  answer[next + 1], answer[next + 2], answer[next + 3], answer[next + 4] = used[n], reserved[n], room, resetsIn(list, at)
end
return answer
`;
