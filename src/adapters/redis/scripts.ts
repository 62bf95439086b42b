import { Script } from "./link.js";

// Lua that Redis 6.0 and Valkey run. A script answers with a word and what belongs to it; errors are Redis's own.
// After the word, `…` stands for what the table is at. Each checks the types of its keys before it writes, and its first write is one that Redis refuses when it is out of
// memory: so a script that fails has changed nothing.

/** Numbers as Redis stores them: Lua would write a large one with an exponent. */
const NUMBERS = `
local function text(number) return string.format('%.0f', number) end`;

const HEAD = `
local h = redis.call('HMGET', KEYS[1], 'incarnation', 'epoch', 'revision', 'generation', 'count', 'stamp', 'format',
  'first', 'chars', 'staging')
local function answer(word) return {word, h[1], h[2], h[3], h[4], h[5], h[6], h[7]} end`;

/** KEYS meta. → `head` …, or `absent`. */
export const headScript = new Script(`${HEAD}
if not h[1] then return {'absent'} end
return answer('head')`);

/**
 * Makes a table that has no past, unless there is one. KEYS meta, changes, all buckets; ARGV incarnation, format.
 * → `head` …
 */
export const createScript = new Script(`${HEAD}
if h[1] then return answer('head') end
redis.call('HSET', KEYS[1], 'incarnation', ARGV[1], 'epoch', '0', 'revision', '0', 'generation', '0', 'count', '0',
  'stamp', '', 'format', ARGV[2], 'first', '1', 'chars', '0')
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
return {'head', ARGV[1], '0', '0', '0', '0', '', ARGV[2]}`);

/** May this epoch write on top of that version? ARGV incarnation, epoch, revision, writer's epoch, stamp, generation. */
const CHECKS = `
if not h[1] then return {'absent'} end
if h[6] == ARGV[5] then return answer('done') end
if tonumber(ARGV[4]) < tonumber(h[2]) then return answer('fenced') end
if h[1] ~= ARGV[1] or h[2] ~= ARGV[2] or h[3] ~= ARGV[3] then return answer('version') end
if h[4] ~= ARGV[6] then return answer('generation') end`;

/** What comes after the present version: within its incarnation, or as the first of the next one. */
const NEXT = `
local renewed = ARGV[7] ~= h[1]
local revision = renewed and '1' or text(tonumber(h[3]) + 1)`;

/** A message is sent once for each router. */
const PUSHED_BYTES_MAX = "16384";

/**
 * Applies changes as one version, and tells of it: of a revision, and when that goes on from the one before and is not long, the
 * incarnation and its entry of the history. KEYS meta, changes, buckets; ARGV as for the checks, then: 7 next incarnation,
 * 8 historyMax, 9 historyCharsMax, 10 channel, 11 changes, and for each change: number of its bucket's key, field, and
 * value ('' to delete). → `done` …, `fenced` …, `version` …, `generation` … or `absent`.
 */
export const applyScript = new Script(`${NUMBERS}${HEAD}${CHECKS}${NEXT}
for i = 2, #KEYS do redis.call('HLEN', KEYS[i]) end
redis.call('HSET', KEYS[1], 'incarnation', ARGV[7], 'epoch', ARGV[4], 'revision', revision, 'stamp', ARGV[5])
local count = tonumber(h[5])
for i = 12, #ARGV, 3 do
  local key = KEYS[tonumber(ARGV[i])]
  if ARGV[i + 2] == '' then count = count - redis.call('HDEL', key, ARGV[i + 1])
  else count = count + redis.call('HSET', key, ARGV[i + 1], ARGV[i + 2]) end
end
local first, chars = tonumber(h[8]), tonumber(h[9])
local entry = nil
if renewed then
  redis.call('UNLINK', KEYS[2])
  first, chars = 2, 0
else
  entry = h[2] .. ' ' .. ARGV[4] .. ' ' .. ARGV[11]
  redis.call('HSET', KEYS[2], revision, entry)
  chars = chars + #entry
  local last, max, charsMax = tonumber(revision), tonumber(ARGV[8]), tonumber(ARGV[9])
  while first <= last and (last - first >= max or chars > charsMax) do
    chars = chars - redis.call('HSTRLEN', KEYS[2], text(first))
    redis.call('HDEL', KEYS[2], text(first))
    first = first + 1
  end
end
h[1], h[2], h[3], h[5], h[6] = ARGV[7], ARGV[4], revision, text(count), ARGV[5]
redis.call('HSET', KEYS[1], 'count', h[5], 'first', text(first), 'chars', text(chars))
local told = revision
if entry and #entry <= ${PUSHED_BYTES_MAX} then told = revision .. ' ' .. h[1] .. ' ' .. entry end
redis.call('PUBLISH', ARGV[10], told)
return answer('done')`);

/** Empties the next generation for a table to be staged in. KEYS meta, its buckets; ARGV as for the checks. */
export const stageScript = new Script(`${HEAD}${CHECKS}
redis.call('HSET', KEYS[1], 'staging', ARGV[5])
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
return answer('staged')`);

/**
 * Puts routes into the next generation. KEYS meta, buckets; ARGV stamp, and for each route: number of its bucket's key,
 * field, value. → `staged` …, `version` … when another table is staged, or `absent`.
 */
export const fillScript = new Script(`${HEAD}
if not h[1] then return {'absent'} end
if h[10] ~= ARGV[1] then return answer('version') end
for i = 2, #ARGV, 3 do redis.call('HSET', KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 2]) end
return answer('staged')`);

/**
 * Makes the staged generation the table. KEYS meta, changes, 256 buckets of the next generation, 256 of the present
 * one; ARGV as for the checks, then: 7 next incarnation, 8 routes that must be there, 9 channel. → as applyScript, and
 * `version` when something of what was staged is gone.
 */
export const swapScript = new Script(`${NUMBERS}${HEAD}${CHECKS}${NEXT}
if h[10] ~= ARGV[5] then return answer('version') end
local half = (#KEYS - 2) / 2
local count = 0
for i = 3, 2 + half do count = count + redis.call('HLEN', KEYS[i]) end
if count ~= tonumber(ARGV[8]) then return answer('version') end
h[1], h[2], h[3], h[4], h[5], h[6] = ARGV[7], ARGV[4], revision, text(tonumber(h[4]) + 1), ARGV[8], ARGV[5]
redis.call('HSET', KEYS[1], 'incarnation', h[1], 'epoch', h[2], 'revision', h[3], 'generation', h[4], 'count', h[5],
  'stamp', h[6], 'first', text(tonumber(revision) + 1), 'chars', '0', 'staging', '')
redis.call('UNLINK', KEYS[2])
for i = 3 + half, #KEYS do redis.call('UNLINK', KEYS[i]) end
redis.call('PUBLISH', ARGV[9], revision)
return answer('done')`);

/** Reads buckets. KEYS meta, buckets; ARGV incarnation, generation. → `routes` epoch revision values…, or `moved`. */
export const bucketsScript = new Script(`${HEAD}
if h[1] ~= ARGV[1] or h[4] ~= ARGV[2] then return {'moved'} end
local out = {'routes', h[2], h[3]}
for i = 2, #KEYS do out[#out + 1] = redis.call('HVALS', KEYS[i]) end
return out`);

/**
 * Reads what came after a version. KEYS meta, changes; ARGV incarnation, epoch, revision, entries at most, characters
 * after which no more are taken. → `changes` entries…, `same` … when nothing came, or `reset`.
 */
export const changesScript = new Script(`${NUMBERS}${HEAD}
if h[1] ~= ARGV[1] then return {'reset'} end
if h[2] == ARGV[2] and h[3] == ARGV[3] then return answer('same') end
local out, chars = {'changes'}, 0
local at, last = tonumber(ARGV[3]), tonumber(h[3])
while at < last and #out <= tonumber(ARGV[4]) and chars < tonumber(ARGV[5]) do
  at = at + 1
  local entry = redis.call('HGET', KEYS[2], text(at))
  if not entry then break end
  if #out == 1 and string.match(entry, '^%d+') ~= ARGV[2] then break end
  out[#out + 1] = entry
  chars = chars + #entry
end
if #out == 1 then return {'reset'} end
return out`);

/**
 * Keeps what a router acknowledged, unless it kept something newer. KEYS meta, acknowledgements; ARGV router,
 * incarnation, epoch, revision, the whole as JSON, routers at most, channel. → `kept`, `same`, `future` or `full`.
 */
export const acknowledgeScript = new Script(`${NUMBERS}${HEAD}
local function newer(e1, r1, e2, r2)
  e1, r1, e2, r2 = tonumber(e1), tonumber(r1), tonumber(e2), tonumber(r2)
  return e1 > e2 or (e1 == e2 and r1 > r2)
end
if h[1] == ARGV[2] and newer(ARGV[3], ARGV[4], h[2], h[3]) then return {'future'} end
local last = redis.call('HGET', KEYS[2], ARGV[1])
if last == ARGV[5] then return {'same'} end
if not last then
  if redis.call('HLEN', KEYS[2]) > tonumber(ARGV[6]) then return {'full'} end
else
  local ok, said = pcall(cjson.decode, last)
  local version = ok and type(said) == 'table' and said.version
  if type(version) == 'table' then
    if version.incarnation == ARGV[2] then
      if newer(version.epoch, version.revision, ARGV[3], ARGV[4]) then return {'same'} end
    elseif version.incarnation == h[1] then return {'same'} end
  end
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[5])
redis.call('HINCRBY', KEYS[2], '', 1)
redis.call('PUBLISH', ARGV[7], '')
return {'kept'}`);

/** KEYS acknowledgements. → field, value, … */
export const acknowledgementsScript = new Script(`return redis.call('HGETALL', KEYS[1])`);

/** KEYS meta, acknowledgements. → what is another text after each change of them, or null when there are none. */
export const acknowledgedScript = new Script(`
local count = redis.call('HGET', KEYS[2], '')
return count and (redis.call('HGET', KEYS[1], 'incarnation') or '') .. ' ' .. count`);
