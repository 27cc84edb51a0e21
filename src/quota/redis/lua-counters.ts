/**
 * Counters. One is a list: its period, then for each part, oldest first, when it began, what is used and what is reserved. It is kept
 * packed (MessagePack holds whole numbers exactly; JSON would lose digits) as one field of the tenant's hash, `KEYS[1]`.
 */
export const COUNTERS = `
-- Milliseconds that a tenant's counters outlive their last use: longer than a month counts.
local KEPT = 35 * DAY

-- The time by a counter's clock, which never runs backwards: one that was set back stands still at the newest part's beginning.
local function timeOf(list, now)
  local newest = list[#list - 2]
  return newest and newest > now and newest or now
end

-- The list without the parts that no longer count.
local function counting(list, now)
  local from, size = 2, #list
  while from < size and freeAt(list[1], list[from]) <= now do from = from + 3 end
  if from == 2 then return list end
  local kept = { list[1] }
  for i = from, size do kept[i - from + 2] = list[i] end
  return kept
end

-- Used and reserved, of all parts together.
local function sums(list)
  local used, reserved = 0, 0
  for i = 2, #list, 3 do
    used = used + list[i + 1]
    reserved = reserved + list[i + 2]
  end
  return used, reserved
end

-- Milliseconds until all that is taken is back: 0 = nothing is.
local function resetsIn(list, now)
  for i = #list - 2, 2, -3 do
    if list[i + 1] + list[i + 2] > 0 then return freeAt(list[1], list[i]) - now end
  end
  return 0
end

-- A command with any number of arguments: Lua hands over no more than some thousands at once.
local function inPieces(command, key, arguments)
  for i = 1, #arguments, 1000 do redis.call(command, key, unpack(arguments, i, min(i + 999, #arguments))) end
end
`;

/** For scripts that change counters here and there: each is fetched when it is first needed, and all are written at the end. */
export const CHANGES = `
-- By name; false where there is none. And whether there was any.
local fetched, found = {}, false

local function fetch(name)
  if fetched[name] == nil then
    local packed = redis.call('HGET', KEYS[1], name)
    found = found or packed
    fetched[name] = packed and cmsgpack.unpack(packed)
  end
  return fetched[name]
end

-- Where a part is, or would have to be.
local function find(list, start)
  local i = 2
  while list[i] and list[i] < start do i = i + 3 end
  return i, list[i] == start
end

-- Adds to what is used in a part. One of the future (the caller's clock is ahead) is the present one.
local function charge(name, period, start, amount, now)
  local list = fetch(name) or { period }
  fetched[name] = list
  start = min(start, partOf(period, timeOf(list, now)))
  local i, there = find(list, start)
  if not there then
    -- From behind, so that nothing is overwritten before it has moved.
    for from = #list, i, -1 do list[from + 3] = list[from] end
    list[i], list[i + 1], list[i + 2] = start, 0, 0
  end
  list[i + 1] = list[i + 1] + amount
end

-- Gives back what the record of an admission says was reserved; what was counted as used as well, if it is to be as though the
-- admission had never been. A record: when it was admitted, then for each amount the counter's name, the part, 1 for used or 2 for
-- reserved, and the amount. There may be less in the part only where it was forgotten meanwhile.
local function giveBack(packed, usedToo)
  local record = cmsgpack.unpack(packed)
  for i = 2, #record, 4 do
    local list = fetch(record[i])
    if list and (usedToo or record[i + 2] == 2) then
      local at, there = find(list, record[i + 1])
      local place = at + record[i + 2]
      if there then list[place] = max(0, list[place] - record[i + 3]) end
    end
  end
end

-- Writes all that was fetched, without the parts that are empty or no longer count.
local function write(now)
  local set, gone = {}, {}
  for name, list in pairs(fetched) do
    if list then
      local time, kept = timeOf(list, now), { list[1] }
      for i = 2, #list, 3 do
        if list[i + 1] + list[i + 2] > 0 and freeAt(list[1], list[i]) > time then
          local size = #kept
          kept[size + 1], kept[size + 2], kept[size + 3] = list[i], list[i + 1], list[i + 2]
        end
      end
      if #kept > 1 then
        set[#set + 1] = name
        set[#set + 1] = cmsgpack.pack(kept)
      else
        gone[#gone + 1] = name
      end
    end
  end
  inPieces('HSET', KEYS[1], set)
  inPieces('HDEL', KEYS[1], gone)
  -- The hash may be new.
  if not found then redis.call('PEXPIRE', KEYS[1], KEPT) end
end
`;
