/**
 * Takes admissions one after the other, each all of its demands or none. Keys: q, r, g. Arguments: time; the time (by Redis' own clock,
 * always) after which this is not to be done any more; gateway; when the oldest request was admitted that the gateway has under way if
 * its lease is to be renewed, else empty; how many limits the demands are of; for each limit: counter, period, the most there may be,
 * 1 = counts as used at once or 2 = is reserved; then for each admission: request, and its demands in one word, `1 1 2 700`: 1 of the
 * first limit and 700 of the second.
 *
 * Answers with numbers in one text, which is read in a fifth of the time that an array of them takes: 1, then for each admission:
 * 1 = admitted or 0 = refused, the time of admission, and for each demand: used, reserved, milliseconds until there is room (-1 = never)
 * and until all is back. Or -1 = too late, nothing was done, and Redis' own time.
 */
export const ADMIT = `
local now, real = clock(ARGV[1])
-- The gateway gave this call up long ago; it may have let the requests in by other means.
if real > tonumber(ARGV[2]) then return string.format('-1 %.0f', real) end

-- Nobody is refused for the sake of a gateway that is dead.
reclaim(now)

local names, periods, caps, places = {}, {}, {}, {}
local limits = tonumber(ARGV[5])
for n = 1, limits do
  local i = 1 + 4 * n
  names[n], periods[n], caps[n], places[n] = ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4])
end
local first, ids = 6 + 4 * limits, {}
for i = first, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end

-- By request: the record of its admission; false where there is none. A request asked for twice at once is admitted once.
local records = {}
local stored = redis.call('HMGET', KEYS[2], '#lease', unpack(ids))
for n, id in ipairs(ids) do records[id] = stored[n + 1] end
-- When the gateway says so, or does not know that its lease is gone: it was given up for dead, or Redis came back empty.
if ARGV[4] ~= '' or not stored[1] then renew(now, tonumber(ARGV[4])) end

-- By counter, since two limits may share one: the same before and after it was changed.
local lists, isNew, changed = {}, true, {}
for n, packed in ipairs(redis.call('HMGET', KEYS[1], unpack(names))) do
  isNew = isNew and not packed
  lists[names[n]] = packed and cmsgpack.unpack(packed) or { periods[n] }
end

local answer, made = { '1' }, {}
for n, id in ipairs(ids) do
  -- Of each demand: its limit, how much; what the counter holds.
  local of, amounts, held = {}, {}, {}
  local count, at = 0, now
  for limit, amount in string.gmatch(ARGV[first + 2 * n - 1], '(%d+) (%d+)') do
    count = count + 1
    of[count], amounts[count] = tonumber(limit), tonumber(amount)
    -- One time for all of them, so that whoever settles knows by it which part each amount was booked in.
    at = timeOf(lists[names[of[count]]], at)
  end
  local fit, used, reserved = true, {}, {}
  for d = 1, count do
    held[d] = counting(lists[names[of[d]]], at)
    used[d], reserved[d] = sums(held[d])
    fit = fit and used[d] + reserved[d] + amounts[d] <= caps[of[d]]
  end

  local kind, since = 1, at
  if records[id] then
    -- Sent again: nothing more is taken, and it was admitted when it was.
    since = cmsgpack.unpack(records[id])[1]
  elseif fit then
    local taken = { at }
    for d = 1, count do
      if amounts[d] > 0 then
        local name, place, list = names[of[d]], places[of[d]], held[d]
        local size, start = #list, partOf(list[1], at)
        if list[size - 2] ~= start then
          list[size + 1], list[size + 2], list[size + 3] = start, 0, 0
          size = size + 3
        end
        local i = size - 2 + place
        list[i] = list[i] + amounts[d]
        if place == 1 then used[d] = used[d] + amounts[d] else reserved[d] = reserved[d] + amounts[d] end
        lists[name], changed[name] = list, true
        local next = #taken
        taken[next + 1], taken[next + 2], taken[next + 3], taken[next + 4] = name, start, place, amounts[d]
      end
    end
    records[id] = cmsgpack.pack(taken)
    made[#made + 1] = id
    made[#made + 1] = records[id]
  else
    kind = 0
  end

  answer[#answer + 1] = string.format('%d %.0f', kind, since)
  for d = 1, count do
    local list, cap, room = held[d], caps[of[d]], 0
    local taken = used[d] + reserved[d]
    if kind == 0 and taken + amounts[d] > cap then
      room = -1
      if amounts[d] <= cap and list[1] ~= EVER then
        local i = 2
        while room < 0 do
          taken = taken - list[i + 1] - list[i + 2]
          if taken + amounts[d] <= cap then room = freeAt(list[1], list[i]) - at end
          i = i + 3
        end
      end
    end
    answer[#answer + 1] = string.format('%.0f %.0f %.0f %.0f', used[d], reserved[d], room, resetsIn(list, at))
  end
end

local fields = {}
for name in pairs(changed) do
  fields[#fields + 1] = name
  fields[#fields + 1] = cmsgpack.pack(lists[name])
end
inPieces('HSET', KEYS[1], fields)
-- The hash may be new.
if isNew and #fields > 0 then redis.call('PEXPIRE', KEYS[1], KEPT) end
inPieces('HSET', KEYS[2], made)
return table.concat(answer, ' ')
`;
