import type { Script } from '../state/client.ts';
import { TOMBSTONES } from './backing.ts';

/*
 * Everything lies in five keys of one slot:
 *   tenants  hash: id → JSON, also of those deleted (tombstones); and two fields that can be no id:
 *              !position  of the last change    !floor  the version of the newest tombstone that has been forgotten
 *   changes  zset: id → position of its last change
 *   marks    zset: the last positions there were. A position that is not among them is of another past: one that this store has
 *            lost, or forgotten
 *   gone     zset: id → version, of tombstones. The oldest are forgotten, but for !floor: whoever then still has what was deleted
 *            has it at a version below that, and may not bring it back
 *   owners   hash: SHA-256 of a key → id of the tenant that it belongs to
 *
 * A position is the time in microseconds, or one more than the last: never given twice, not even by a replica that has
 * taken over without the last writes. All numbers are whole and below 2^53, so Lua holds them exactly; `%.0f` prints them whole.
 */

/** Positions that are remembered: a gateway that has missed more changes than these reads everything again. */
const MARKS = 1000;

const SHARED = `
local tenants, changes, marks, gone, owners = unpack(KEYS)

local function hashes_of(document)
  local hashes = {}
  for _, key in ipairs(document.keys or {}) do
    hashes[#hashes + 1] = key.sha256
    for _, old in ipairs(key.previous) do hashes[#hashes + 1] = old.sha256 end
  end
  return hashes
end

-- What is stored under the id; a version of 0 if nothing is.
local function stored(id)
  local json = redis.call('HGET', tenants, id)
  return json and cjson.decode(json) or { version = 0 }, json
end

-- The tenant that one of these hashes belongs to, if that is another one.
local function taken_by(id, hashes)
  for _, hash in ipairs(hashes) do
    local owner = redis.call('HGET', owners, hash)
    if owner and owner ~= id then return owner end
  end
end

local function next_position()
  local now = redis.call('TIME')
  local last = tonumber(redis.call('HGET', tenants, '!position') or '0')
  local position = string.format('%.0f', math.max(now[1] * 1000000 + now[2], last + 1))
  redis.call('HSET', tenants, '!position', position)
  redis.call('ZADD', marks, position, position)
  redis.call('ZREMRANGEBYRANK', marks, 0, -${MARKS + 1})
  return position
end

local function forget_old_tombstones()
  while redis.call('ZCARD', gone) > ${TOMBSTONES} do
    local oldest = redis.call('ZPOPMIN', gone)
    redis.call('HDEL', tenants, oldest[1])
    redis.call('ZREM', changes, oldest[1])
    local floor = tonumber(redis.call('HGET', tenants, '!floor') or '0')
    redis.call('HSET', tenants, '!floor', string.format('%.0f', math.max(floor, tonumber(oldest[2]))))
  end
end

local function put(id, json, before, after, hashes)
  for _, hash in ipairs(hashes_of(before)) do redis.call('HDEL', owners, hash) end
  for _, hash in ipairs(hashes) do redis.call('HSET', owners, hash, id) end
  redis.call('HSET', tenants, id, json)
  redis.call('ZADD', changes, next_position(), id)
  if after.gone then
    redis.call('ZADD', gone, string.format('%.0f', after.version), id)
    forget_old_tombstones()
  else
    redis.call('ZREM', gone, id)
  end
end
`;

/**
 * id, JSON, the version that it takes the place of (0: none), and until when (milliseconds, Redis' clock) this is to be done at all: whoever
 * asked has long been told that it failed, and may have asked for something else.
 */
export const WRITE: Script = {
  lua: `${SHARED}
local id, json, expected, deadline = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local now = redis.call('TIME')
if now[1] * 1000 + now[2] / 1000 > deadline then return { 'late' } end
local before, after = stored(id), cjson.decode(json)
if (before.gone and 0 or before.version) ~= expected then return { 'changed' } end
-- Of two clocks, one may be behind: what is not newer would not be believed by those who know the other.
if after.version <= before.version then return { 'changed' } end
local hashes = hashes_of(after)
local owner = taken_by(id, hashes)
if owner then return { 'taken', owner } end
put(id, json, before, after, hashes)
return { 'written' }
`,
};

/** Pairs of id and JSON. Answers a list of two for each: what became of it, and the JSON that is there if that is newer. */
export const RESTORE: Script = {
  lua: `${SHARED}
local floor = tonumber(redis.call('HGET', tenants, '!floor') or '0')
local results = {}
for i = 1, #ARGV, 2 do
  local id, json = ARGV[i], ARGV[i + 1]
  local before, there = stored(id)
  local after = cjson.decode(json)
  local hashes = hashes_of(after)
  local result = 'kept'
  if before.version > after.version then
    result = 'newer'
  elseif before.version == after.version then
    -- It is there, but those who ask for changes were not told: the list of them was lost.
    if not redis.call('ZSCORE', changes, id) then put(id, json, before, after, hashes) end
  elseif not there and after.version <= floor then
    result = 'deleted'
  elseif taken_by(id, hashes) then
    result = 'taken'
  else
    put(id, json, before, after, hashes)
  end
  results[#results + 1] = result
  results[#results + 1] = result == 'newer' and there or ''
end
return results
`,
};

/** Answers: position, 1 if nothing comes after it, then pairs of id and JSON. Or `diverged`. */
export const CHANGES: Script = {
  lua: `
local tenants, changes, marks = KEYS[1], KEYS[2], KEYS[3]
local known, after, most, bytes = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local last = redis.call('HGET', tenants, '!position') or '0'
if after == last then return { last, 1 } end
if known ~= '0' and not redis.call('ZSCORE', marks, known) then return { 'diverged' } end

local found = redis.call('ZRANGEBYSCORE', changes, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
local page = { last, 1 }
for i = 1, #found, 2 do
  local json = redis.call('HGET', tenants, found[i])
  if json then
    page[#page + 1] = found[i]
    page[#page + 1] = json
    bytes = bytes - #json
  end
  local position = string.format('%.0f', tonumber(found[i + 1]))
  if (i + 1 == 2 * most or bytes <= 0) and position ~= last then
    page[1], page[2] = position, 0
    break
  end
end
return page
`,
};
