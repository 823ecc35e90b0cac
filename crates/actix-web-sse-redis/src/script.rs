//! The scripts that Redis runs for this crate. Each is one atomic step.
//!
//! Numbers are microseconds of Redis's clock, each above the one before. So the number of an event
//! gives its age, and numbers after a flush are above all numbers before it. A Lua number represents
//! them exactly up to the year 2255.

pub(crate) mod lease;

use std::sync::LazyLock;

use redis::Script;

/// The beginning of each script.
const COMMON: &str = r"
local function text(number) return string.format('%.0f', number) end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
";

/// Numbers an event and adds it to its topic.
///
/// Keys: head, topic. Arguments: an epoch in case there is none, how many entries to keep, for
/// how many milliseconds, then the entry's fields. Returns the epoch, its base and the number.
pub(crate) static PUBLISH: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
local head, topic = KEYS[1], KEYS[2]
local known = redis.call('HMGET', head, 'epoch', 'base', 'seq')
local epoch, base, seq = known[1], known[2], known[3]
if not (epoch and base and seq) then
    epoch, base, seq = ARGV[1], text(now), text(now)
    redis.call('HSET', head, 'epoch', epoch, 'base', base)
end
local number = math.max(tonumber(seq) + 1, now)
redis.call('HSET', head, 'seq', text(number))
local before
local newest = redis.call('XREVRANGE', topic, '+', '-', 'COUNT', 1)
if #newest > 0 then
    before = string.match(newest[1][1], '^%d+')
    if tonumber(before) >= number then
        -- Left from an epoch that was lost, with a clock that went back.
        redis.call('DEL', topic)
        before = nil
    end
end
before = before or ('x' .. text(number - ARGV[3] * 1000))
redis.call('XADD', topic, 'MAXLEN', '~', ARGV[2], text(number) .. '-0',
    'e', epoch, 'p', before, unpack(ARGV, 4))
redis.call('PEXPIRE', topic, ARGV[3])
return {epoch, base, text(number)}
",
    )
});

/// Returns the epoch and the newest number. Begins a new epoch if there is none, or if Redis has lost
/// data of it: its number is below one that the caller has seen, or the newest entry that the caller
/// knows is gone. A fail-over loses the end of what was written, so checking the newest entry
/// suffices.
///
/// Keys: head, control, those of revocations, and the topic of the newest entry that the caller
/// knows of, if any. Arguments: an epoch in case one is needed, the epoch known to the caller, the
/// highest number the caller has seen of it; `lost` if the caller knows that history is lost; the
/// number of the last revocation known to the caller, and how many to return at the most; the
/// number of that newest entry, and for how many milliseconds a topic is kept.
///
/// Returns the epoch, its base, the newest number, the time, the newest ID of the control stream,
/// the number of the newest revocation and how many are in force, and those after the known one:
/// user, number, up to which moment, and for how long they are in force, the latter in
/// milliseconds.
pub(crate) static HANDSHAKE: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
local head, control, topic = KEYS[1], KEYS[2], KEYS[6]
-- Changes nothing, but a replica refuses it: replicas can be read and not written.
local tried = redis.pcall('PERSIST', head)
if type(tried) == 'table' and string.find(tried.err or '', 'READONLY', 1, true) then
    return tried
end
local function is_lost(number)
    local first = redis.call('XRANGE', topic, '-', '+', 'COUNT', 1)
    if #first == 0 then
        -- Expired, if it is old enough for that.
        return now - number < ARGV[8] * 1000
    end
    -- An entry older than all that exist was trimmed.
    return tonumber(string.match(first[1][1], '^%d+')) < number
        and #redis.call('XRANGE', topic, ARGV[7], ARGV[7]) == 0
end
local known = redis.call('HMGET', head, 'epoch', 'base', 'seq')
local epoch, base, seq = known[1], known[2], known[3]
local highest = tonumber(ARGV[3])
local gone = not (epoch and base and seq)
local back = not gone and epoch == ARGV[2]
    and (ARGV[4] == 'lost' or tonumber(seq) < highest
        or (topic and is_lost(tonumber(ARGV[7]))))
if gone or back then
    epoch = ARGV[1]
    base = text(math.max(now, tonumber(seq or '0'), highest))
    seq = base
    redis.call('HSET', head, 'epoch', epoch, 'base', base, 'seq', seq)
end
local last = redis.call('XREVRANGE', control, '+', '-', 'COUNT', 1)
local newest = redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2] or '0'
local revoked = {}
if tonumber(newest) > tonumber(ARGV[5]) then
    local users = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[5], '+inf',
        'WITHSCORES', 'LIMIT', 0, ARGV[6])
    for i = 1, #users, 2 do
        local over = tonumber(redis.call('ZSCORE', KEYS[4], users[i]) or '0')
        revoked[#revoked + 1] = {users[i], text(tonumber(users[i + 1])),
            redis.call('HGET', KEYS[5], users[i]) or '0',
            text(math.max(0, math.floor((over - now) / 1000)))}
    end
end
return {epoch, base, seq, text(now), #last > 0 and last[1][1] or '0-0',
    text(tonumber(newest)), redis.call('ZCOUNT', KEYS[4], text(now), '+inf'), revoked}
",
    )
});

/// Stores that a user's credentials up to a time are revoked, and sends it to every node. Removes some
/// expired revocations at the same time.
///
/// Clocks of nodes differ, so a new revocation is applied even if its time is not later than that of
/// the one before: it is raised by a millisecond then. A repeated one, to a Redis that has lost it, is
/// not raised.
///
/// Keys: control, those of revocations. Arguments: the node that revokes, the user, the moment and
/// how long to remember it in milliseconds, for how many milliseconds the control stream is kept,
/// `new` or `repeated`.
pub(crate) static REVOKE: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
local control, revoked, overs, untils = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local user = ARGV[2]
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', overs, '-inf', text(now), 'LIMIT', 0, 100)) do
    redis.call('ZREM', overs, gone)
    redis.call('ZREM', revoked, gone)
    redis.call('HDEL', untils, gone)
end
local known = tonumber(redis.call('HGET', untils, user) or '-1')
local til = tonumber(ARGV[3])
if ARGV[6] == 'new' then til = math.max(til, known + 1) end
local news = til > known
local over = math.max(tonumber(redis.call('ZSCORE', overs, user) or '0'), now + ARGV[4] * 1000)
redis.call('ZADD', overs, text(over), user)
if news then
    local newest = redis.call('ZREVRANGE', revoked, 0, 0, 'WITHSCORES')[2] or '0'
    redis.call('ZADD', revoked, text(math.max(now, tonumber(newest) + 1)), user)
    redis.call('HSET', untils, user, text(til))
    redis.call('XADD', control, 'MAXLEN', '~', 100000, '*', 'from', ARGV[1], 'revoked', user,
        'until', text(til), 'for', ARGV[4])
    redis.call('PEXPIRE', control, ARGV[5])
end
local last = tonumber(redis.call('ZREVRANGE', overs, 0, 0, 'WITHSCORES')[2])
for i = 2, 4 do
    redis.call('PEXPIRE', KEYS[i], text(math.ceil((last - now) / 1000) + 60000))
end
return 1
",
    )
});

/// The entries after a number in some topics.
///
/// Keys: head, then the topics. Arguments: the epoch, the number, how many milliseconds a topic is
/// kept, how many events to return of each at the most. Returns nothing if the number is none of
/// this epoch's; else for each topic the number above which nothing is missing, and the entries.
pub(crate) static HISTORY: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
local known = redis.call('HMGET', KEYS[1], 'epoch', 'base', 'seq')
local after = tonumber(ARGV[2])
if known[1] ~= ARGV[1] or not known[3] or after > tonumber(known[3])
    or after < tonumber(known[2]) then
    return {}
end
local topics = {}
for i = 2, #KEYS do
    local floor = text(now - ARGV[3] * 1000)
    -- Nothing at all was published since, however long ago that is.
    if after == tonumber(known[3]) then floor = ARGV[2] end
    local first = redis.call('XRANGE', KEYS[i], '-', '+', 'COUNT', 1)
    if #first > 0 then
        local fields = first[1][2]
        for j = 1, #fields, 2 do
            if fields[j] == 'p' then floor = string.gsub(fields[j + 1], 'x', '') end
        end
    end
    topics[#topics + 1] = {floor,
        redis.call('XRANGE', KEYS[i], '(' .. ARGV[2] .. '-0', '+', 'COUNT', ARGV[4])}
end
return topics
",
    )
});

fn script(body: &str) -> Script {
    Script::new(&format!("{COMMON}{body}"))
}
