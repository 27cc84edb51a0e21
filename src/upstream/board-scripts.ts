import type { Script } from '../state/client.ts';

/*
 * Everything lies in three keys of one slot:
 *   breakers  hash: id of an upstream → its entry, packed: { seq, openings, till, gateway, claims }
 *               openings: 0 = closed since; till: end of the open period; gateway: who said the last word;
 *               claims: gateway → { probes that it has under way, when that lease ends }
 *   words     zset: id → seq of its last word
 *   gone      zset: id → when the entry may be forgotten
 *
 * A seq is the time in microseconds, or one more than the last: never given twice, not even by a replica that has taken over without
 * the last writes. All numbers are whole and below 2^53, so Lua holds them exactly; `%.0f` prints them whole.
 */

/** Entries that are kept; of more, those whose last word is oldest are forgotten. Clients can make up models, and each is an upstream. */
export const MOST_ENTRIES = 4096;
/** How long after its open period, or after it closed, an entry is kept: for gateways that start, and for those that were cut off. Milliseconds. */
const RETENTION = 600_000;
/** Our idea of Redis' clock may be off by a round trip: a period that ends so soon is over. Milliseconds. */
const CLOCK_ERROR = 100;
/** Words told in one answer. */
export const WORDS_A_PAGE = 200;

const SHARED = `
local breakers, words, gone = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function read(id)
  local packed = redis.call('HGET', breakers, id)
  if not packed then return nil end
  local e = cmsgpack.unpack(packed)
  return { seq = e[1], openings = e[2], till = e[3], gateway = e[4], claims = e[5] }
end

local function keep(id, e)
  redis.call('HSET', breakers, id, cmsgpack.pack({ e.seq, e.openings, e.till, e.gateway, e.claims }))
end

local function forget(id)
  redis.call('HDEL', breakers, id)
  redis.call('ZREM', words, id)
  redis.call('ZREM', gone, id)
end

-- A new word of this upstream.
local function say(id, gateway, e)
  local last = redis.call('ZREVRANGE', words, 0, 0, 'WITHSCORES')
  e.seq = math.max(time[1] * 1000000 + time[2], (tonumber(last[2]) or 0) + 1)
  e.gateway = gateway
  keep(id, e)
  local till = math.max(now, e.till) + ${RETENTION}
  redis.call('ZADD', words, string.format('%.0f', e.seq), id)
  redis.call('ZADD', gone, string.format('%.0f', till), id)
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', gone, '-inf', now, 'LIMIT', 0, 100)) do forget(old) end
  while redis.call('ZCARD', words) > ${MOST_ENTRIES} do forget(redis.call('ZRANGEBYSCORE', words, '-inf', '+inf', 'LIMIT', 0, 1)[1]) end
  for _, key in ipairs(KEYS) do
    if redis.call('PTTL', key) < till - now then redis.call('PEXPIRE', key, till - now) end
  end
end

-- As it is told: id, seq, openings, milliseconds left, gateway. Nothing if there is no entry.
local function word(id, e)
  if not e then return {} end
  return { id, string.format('%.0f', e.seq), e.openings, math.max(0, e.till - now), e.gateway }
end
`;

/**
 * Keys: breakers, words, gone. Arguments: id; gateway; until, by Redis' clock; openings; the word that its probes came after, empty = tries were
 * counted. Answers with the word that holds now.
 */
export const OPENED = script(
  `
local id, gateway, till, openings = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local e = read(id)
-- Carried out so late that it means nothing any more.
if till <= now then return word(id, e) end
if ARGV[5] ~= '' then
  -- Another probe was faster.
  if e and e.seq ~= tonumber(ARGV[5]) then return word(id, e) end
  e = { openings = openings, till = till, claims = {} }
elseif e and e.openings > 0 then
  -- Another gateway found out as well: the longer of the two holds.
  if e.till >= till and e.openings >= openings then return word(id, e) end
  e.openings, e.till = math.max(e.openings, openings), math.max(e.till, till)
else
  e = { openings = openings, till = till, claims = {} }
end
say(id, gateway, e)
return word(id, e)
`,
);

/** Keys likewise. Arguments: id; gateway; the word that its probe came after. Answers likewise. */
export const CLOSED = script(
  `
local id, gateway = ARGV[1], ARGV[2]
local e = read(id)
if e and (e.seq ~= tonumber(ARGV[3]) or e.openings == 0) then return word(id, e) end
e = { openings = 0, till = 0, claims = {} }
say(id, gateway, e)
return word(id, e)
`,
);

/**
 * Keys likewise. Arguments: id; gateway; how many probes it would have under way with this one; how many all together may; the lease in
 * milliseconds; openings, and the last word, as it knows them. Answers 1 or 0, then the word that holds now.
 */
export const CLAIM = script(
  `
local id, gateway, wanted, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local e = read(id)
local function refused() return { 0, unpack(word(id, e)) } end
if e and e.openings == 0 then
  if e.seq > tonumber(ARGV[7]) then return refused() end
  -- It was opened since, and the word of it was lost.
  e = nil
end
if not e then
  e = { openings = tonumber(ARGV[6]), till = now, claims = {} }
  say(id, gateway, e)
elseif e.till > now + ${CLOCK_ERROR} then return refused()
end
local others = 0
for holder, claim in pairs(e.claims) do
  if claim[2] <= now then e.claims[holder] = nil
  elseif holder ~= gateway then others = others + claim[1]
  end
end
if others + wanted > most then return refused() end
e.claims[gateway] = { wanted, now + tonumber(ARGV[5]) }
keep(id, e)
return { 1, unpack(word(id, e)) }
`,
);

/** Keys likewise. Arguments: id; gateway; how many probes it still has under way. */
export const RELEASED = script(
  `
local id, gateway, left = ARGV[1], ARGV[2], tonumber(ARGV[3])
local e = read(id)
local claim = e and e.claims[gateway]
if not claim then return end
if left > 0 then claim[1] = left else e.claims[gateway] = nil end
keep(id, e)
`,
);

/**
 * Keys likewise. Arguments: gateway; the last word it knows; the lease in milliseconds; the upstreams of which it has probes under way. Keeps those
 * leases, and answers with the words since, the oldest first: as many as a page holds, each as above.
 */
export const NEWS = script(
  `
local gateway, lease = ARGV[1], tonumber(ARGV[3])
for n = 4, #ARGV do
  local e = read(ARGV[n])
  local claim = e and e.claims[gateway]
  if claim then
    claim[2] = now + lease
    keep(ARGV[n], e)
  end
end
local answer = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', words, '(' .. ARGV[2], '+inf', 'LIMIT', 0, ${WORDS_A_PAGE})) do
  for _, part in ipairs(word(id, read(id))) do answer[#answer + 1] = part end
end
return answer
`,
);

function script(lua: string): Script {
  return { lua: `${SHARED}\n${lua}` };
}
