-- For wrk: sends the requests of a file as they are, in order or at random. Arguments: the file, "in-order" or "random".
-- The file holds each request's length on a line, then the request.
local requests, position, in_order = {}, 0, true

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  in_order = arguments[2] == "in-order"
  math.randomseed(20260101)
  for length in function() return file:read("*n", 1) end do
    requests[#requests + 1] = file:read(length)
  end
  file:close()
end

function request()
  if not in_order then return requests[math.random(#requests)] end
  position = position + 1
  -- Past the end the last is sent again; whoever measures counts what was done, not what was answered.
  return requests[math.min(position, #requests)]
end

function done(summary)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("RESULT %d %d %d\n", summary.requests, summary.duration, failed))
end
