/**
 * The clock, and the parts of periods: in Lua what `periods.ts` is in TypeScript, to the millisecond. It has to be both, since it is
 * Redis that knows what time it is when an amount is taken.
 *
 * A period is a number here: 0 never ends (`concurrent`), 1 is a month, 86400000 a day, anything else the length of a sliding one.
 */
export const PARTS = `
local floor, max, min = math.floor, math.max, math.min
local EVER, MONTH, DAY = 0, 1, 86400000

-- The time by which amounts are booked, which a test may hand in, and the time by Redis' own clock. Milliseconds since 1970.
local function clock(handed)
  local time = redis.call('TIME')
  local real = time[1] * 1000 + floor(time[2] / 1000)
  return tonumber(handed) or real, real
end

-- The first millisecond of the month that a time falls in: its day of the month, by the days since 1 March of the year 0, from which
-- on leap days come last (Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days).
local function monthOf(time)
  local day = floor(time / DAY)
  local sinceMarch0 = day + 719468
  local ofEra = sinceMarch0 % 146097
  local year = floor((ofEra - floor(ofEra / 1460) + floor(ofEra / 36524) - floor(ofEra / 146096)) / 365)
  local ofYear = ofEra - (365 * year + floor(year / 4) - floor(year / 100))
  local month = floor((5 * ofYear + 2) / 153)
  local ofMonth = ofYear - floor((153 * month + 2) / 5)
  return (day - ofMonth) * DAY
end

-- When the part began that a time falls in: its name.
local function partOf(period, time)
  if period == EVER then return 0 end
  if period == MONTH then return monthOf(time) end
  local length = period == DAY and DAY or period / 20
  return time - time % length
end

-- From when what was taken in a part no longer counts. No month has more than 31 days, and none two months ahead begins that soon.
local function freeAt(period, start)
  if period == EVER then return 9007199254740991 end
  if period == MONTH then return monthOf(start + 31 * DAY) end
  if period == DAY then return start + DAY end
  return start + period / 20 + period
end
`;
