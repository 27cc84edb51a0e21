/**
 * Leases. What a gateway reserves for a tenant it holds for as long as it renews its lease, and what it held when it died is given
 * back by whoever calls next. A gateway's hash holds a record for each of its requests, and two fields of its own: `#lease`, there
 * while it has one, and `#seq`, the last batch of settlements that was applied.
 *
 * Scripts that use this have `leases`, the key of the sorted set of gateways by the end of their leases, and `own`, the gateway's id.
 */
export const LEASES = `
-- Milliseconds of a lease; and for how long a gateway that lost it may still send a batch again, and find that it was applied.
local LEASE, REMEMBERED = 30000, DAY
-- Most to be done of each kind in one call, so that none takes long: gateways, their records, other counters, records of one's own.
local GATEWAYS, RECORDS, COUNTERS, OWN = 8, 200, 8, 50
-- A record that is so much older than any request of its gateway's belongs to none. Far more than clocks differ by. Milliseconds.
local LOST = 60000

-- Gives back what one gateway held, or as many of its records as are left to be done in this call. Says how many.
local function bury(gateway, left, now)
  -- The one key that was not announced: only here is known whose it is. It is of the same slot. Should that be moving to another node
  -- just now, and the key be there already, then this is refused, and nothing is lost by waiting.
  local key = string.sub(KEYS[1], 1, -2) .. 'r:' .. gateway
  -- Two more, for the fields that are no records.
  local fields = redis.pcall('HRANDFIELD', key, left + 2, 'WITHVALUES')
  if fields.err then return 0 end
  -- Whoever has a lease has its mark in that hash: it is yet to follow the others to this node. Later, then.
  if #fields == 0 then redis.call('ZADD', leases, now + LEASE, gateway) return 0 end
  local gone = {}
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 1) ~= '#' then
      giveBack(fields[i + 1], false)
      gone[#gone + 1] = fields[i]
    end
  end
  local records = #gone
  -- Fewer than were asked for: that was all of them. What is taken out last may leave no hash, and of a slot that is moving a key that is not
  -- there must not be touched: this would fail half done. So the end of its time comes first.
  local isAll = #fields / 2 < left + 2
  if isAll then
    redis.call('PEXPIRE', key, REMEMBERED)
    gone[records + 1] = '#lease'
  end
  inPieces('HDEL', key, gone)
  if isAll then redis.call('ZREM', leases, gateway) end
  return records
end

-- Gives back what gateways held whose leases are over; what counted as used stays.
local function reclaim(now)
  local left = RECORDS
  for _, gateway in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, GATEWAYS)) do
    if gateway == own then
      -- It lives, since it asks: the clock went ahead.
      redis.call('ZADD', leases, now + LEASE, own)
    elseif left > 0 then
      left = left - bury(gateway, left, now)
    end
  end
  if left < RECORDS then write(now) end
end

-- Drops some counters in which nothing counts any more: their limits are no longer set, or nobody uses those keys.
local function sweep(now)
  local some = redis.call('HRANDFIELD', KEYS[1], COUNTERS, 'WITHVALUES')
  for i = 1, #some, 2 do
    local list = cmsgpack.unpack(some[i + 1])
    if resetsIn(list, now) <= 0 then redis.call('HDEL', KEYS[1], some[i]) end
  end
end

-- Gives back what this gateway itself has settled long ago, but a Redis that took over from another one has not heard of: records
-- from well before the oldest request that it has under way.
local function giveBackLost(oldest, now)
  local gone = {}
  local some = redis.call('HRANDFIELD', KEYS[2], OWN, 'WITHVALUES')
  for i = 1, #some, 2 do
    if string.sub(some[i], 1, 1) ~= '#' and cmsgpack.unpack(some[i + 1])[1] < oldest - LOST then
      giveBack(some[i + 1], false)
      gone[#gone + 1] = some[i]
    end
  end
  if #gone == 0 then return end
  inPieces('HDEL', KEYS[2], gone)
  write(now)
end

-- Once in ten seconds for a gateway and tenant. 'oldest': when the oldest request was admitted that it has under way.
local function renew(now, oldest)
  redis.call('HSET', KEYS[2], '#lease', 1)
  redis.call('ZADD', leases, now + LEASE, own)
  -- What holds reservations must not go before the counters that they are in, or nobody would give them back.
  for _, key in ipairs({ KEYS[1], KEYS[2], leases }) do redis.call('PEXPIRE', key, KEPT) end
  sweep(now)
  if oldest then giveBackLost(oldest, now) end
end
`;
