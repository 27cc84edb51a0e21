-- Told through the environment what to send, says in one JSON line what came of it.
wrk.method = "POST"
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
wrk.body = file:read("*a")
file:close()
for name, value in string.gmatch(os.getenv("BENCH_HEADERS"), "([^:\n]+): ([^\n]+)") do
  wrk.headers[name] = value
end

-- Milliseconds between an answer and the next request, on average: all at the same time would come as waves.
local pause = tonumber(os.getenv("BENCH_PAUSE"))
if pause > 0 then
  function delay()
    return math.random(0, math.floor(2 * pause))
  end
end

function done(summary)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"micros":%d,"bytes":%d,"refused":%d,"failed":%d}\n',
    summary.requests, summary.duration, summary.bytes, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
