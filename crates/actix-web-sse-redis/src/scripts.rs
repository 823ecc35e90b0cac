//! The scripts that Redis runs for this crate. Each is one atomic step.
//!
//! Numbers are microseconds of Redis's clock, each above the one before. So the number of an event
//! gives its age, and numbers after a flush are above all numbers before it. A Lua number represents
//! them exactly up to the year 2255.
//!
//! Counts of streams: each node has its own field in a count, and a lease. When the lease has expired,
//! the field is no longer counted. A node always sends the count itself, never a difference: a command
//! that is sent twice, or lost with a connection and sent again, leaves the count right.

use std::sync::LazyLock;

use redis::Script;

/// The beginning of each script. `numbering` returns the epoch, its base and the newest number, if all of
/// it is there; `begin` begins a new epoch. `append` adds to a stream, which may be left from an epoch
/// that was lost with a clock that was ahead.
const COMMON: &str = r"
local function text(number) return string.format('%.0f', number) end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local millis = math.floor(now / 1000)
local function numbering()
    local known = redis.call('HMGET', KEYS[1], 'epoch', 'base', 'seq')
    local floor = redis.call('ZSCORE', KEYS[3], '')
    if known[1] and known[2] and known[3] and floor then
        return known[1], known[2], known[3], tonumber(floor)
    end
end
local function begin(epoch, highest)
    local base = text(math.max(now, highest))
    redis.call('DEL', KEYS[3])
    redis.call('ZADD', KEYS[3], base, '')
    redis.call('HSET', KEYS[1], 'epoch', epoch, 'base', base, 'seq', base)
    return epoch, base, base, tonumber(base)
end
local function append(key, ...)
    local done = redis.pcall('XADD', key, ...)
    if type(done) == 'table' and string.find(done.err, 'equal or smaller', 1, true) then
        redis.call('DEL', key)
        done = redis.pcall('XADD', key, ...)
    end
    return type(done) == 'table' and done or nil
end
local function field(entry, name)
    for i = 1, #entry[2], 2 do
        if entry[2][i] == name then return entry[2][i + 1] end
    end
end
local function number_of(entry) return tonumber(string.match(entry[1], '^%d+')) end
";

fn script(body: &str) -> Script {
    Script::new(&format!("{COMMON}{body}"))
}

/// What the scripts that publish have before them. Their keys begin with head, log, topics, the topic. Their
/// arguments begin with an epoch in case there is none, how many entries to keep of the log and of a topic, for how
/// many milliseconds, the topic. `publish` numbers an event, adds it to its topic and announces it in the log; it
/// takes whether the event is transient, its size if it is too large for the log, and its fields. It returns the
/// epoch, its base and the number; or no epoch, and the error.
const PUBLISHING: &str = r"
local function publish(transient, size, ...)
    local log, topics, topic = KEYS[2], KEYS[3], KEYS[4]
    local epoch, base, seq, floor = numbering()
    if not epoch then epoch, base, seq, floor = begin(ARGV[1], 0) end
    local number = math.max(tonumber(seq) + 1, now)
    local id = text(number) .. '-0'
    if not transient then
        local before = redis.call('ZSCORE', topics, ARGV[5]) or floor
        local refused = append(topic, 'MAXLEN', '~', ARGV[3], id,
            'e', epoch, 'p', text(tonumber(before)), ...)
        if refused then return nil, refused end
    end
    local refused
    if size == '' then
        refused = append(log, 'MAXLEN', '~', ARGV[2], id,
            'e', epoch, 'q', seq, 't', ARGV[5], ...)
    else
        refused = append(log, 'MAXLEN', '~', ARGV[2], id,
            'e', epoch, 'q', seq, 't', ARGV[5], 's', size)
    end
    if refused then
        if not transient then redis.call('XDEL', topic, id) end
        return nil, refused
    end
    redis.call('HSET', KEYS[1], 'seq', text(number))
    redis.call('PEXPIRE', log, ARGV[4])
    if not transient then
        redis.call('ZADD', topics, text(number), ARGV[5])
        redis.call('PEXPIRE', topic, ARGV[4])
    end
    return epoch, base, text(number)
end
";

/// Publishes an event.
///
/// Keys and arguments: see [`PUBLISHING`]; then whether the event is transient, its size if it is too large for the
/// log, and its fields. Returns the epoch, its base and the number.
pub(crate) static PUBLISH: LazyLock<Script> = LazyLock::new(|| {
    script(&format!(
        "{PUBLISHING}
local epoch, base, number = publish(ARGV[6] == '1', unpack(ARGV, 7))
if not epoch then return base end
return {{epoch, base, number}}
"
    ))
});

/// Asks all nodes to end streams.
///
/// Keys: head, log, topics. Arguments: an epoch in case there is none, how many entries to keep of the
/// log, for how many milliseconds, the node, `user` or `topic`, its name.
pub(crate) static END: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
local epoch, base, seq = numbering()
if not epoch then epoch, base, seq = begin(ARGV[1], 0) end
local number = text(math.max(tonumber(seq) + 1, now))
local refused = append(KEYS[2], 'MAXLEN', '~', ARGV[2], number .. '-0',
    'e', epoch, 'q', seq, 'from', ARGV[4], ARGV[5], ARGV[6])
if refused then return refused end
redis.call('HSET', KEYS[1], 'seq', number)
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
",
    )
});

/// Returns the numbering. Begins a new epoch if there is none, or if Redis has lost data of it: its
/// number is below one that the caller has seen, or the newest event that the caller knows is gone.
/// A fail-over loses the end of what was written, so checking the newest event suffices. Removes
/// keys of another type from the places of its own, and topics that have expired from their list.
///
/// Keys: head, log, topics, revocations, and the topic of the newest event that the caller knows of, if
/// any. Arguments: an epoch in case one is needed, the epoch known to the caller, the highest number
/// the caller has seen of it, `lost` if it knows that something is lost, for how many milliseconds a
/// topic is kept, the ID of the last revocation that the caller has read, the number of that newest
/// event.
///
/// Returns the epoch, its base, the newest number, the time, whether there is a log, whether that
/// revocation is still there, and whether there must be revocations that are not there.
pub(crate) static HANDSHAKE: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
local head, log, topics, revoked, topic = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
-- Changes nothing, but a replica refuses it: replicas can be read and not written.
local tried = redis.pcall('PERSIST', head)
if type(tried) == 'table' then return tried end
for i, kind in ipairs({'hash', 'stream', 'zset', 'stream'}) do
    local is = redis.call('TYPE', KEYS[i]).ok
    if is ~= 'none' and is ~= kind then redis.call('DEL', KEYS[i]) end
end
local function has(key, id)
    local found = redis.pcall('XRANGE', key, id, id)
    return not found.err and #found > 0
end
local function is_lost(number, seq)
    if has(log, ARGV[7]) then return false end
    local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
    if first and number_of(first) < number then return true end
    local before = first and tonumber(field(first, 'q') or '')
    if before and before <= number then return before < number end
    if not first and seq == number then return false end
    -- The log does not go back so far. Was it kept no longer, or is it lost? Better a gap too many.
    return not has(topic, ARGV[7]) and now - number < ARGV[5] * 1000
end
local epoch, base, seq, floor = numbering()
local highest = tonumber(ARGV[3])
if not epoch then
    epoch, base, seq, floor = begin(ARGV[1], math.max(highest,
        tonumber(redis.call('HGET', head, 'seq') or '0')))
elseif epoch == ARGV[2] and (ARGV[4] == 'lost' or tonumber(seq) < highest
    or (topic and is_lost(tonumber(ARGV[7]), tonumber(seq)))) then
    epoch, base, seq, floor = begin(ARGV[1], math.max(highest, tonumber(seq)))
end
local keep = math.max(tonumber(redis.call('HGET', head, 'keep') or '0'), tonumber(ARGV[5]))
redis.call('HSET', head, 'keep', text(keep))
local expired = redis.call('ZRANGEBYSCORE', topics, '-inf', text(now - keep * 1000), 'WITHSCORES',
    'LIMIT', 0, 1000)
for i = 1, #expired, 2 do
    if expired[i] ~= '' then
        redis.call('ZREM', topics, expired[i])
        floor = math.max(floor, tonumber(expired[i + 1]))
    end
end
redis.call('ZADD', topics, text(floor), '')
local there = ARGV[6] == '' or #redis.call('XRANGE', revoked, ARGV[6], ARGV[6]) > 0
-- When the last one that is in force will be over.
local over = tonumber(redis.call('HGET', head, 'revoked') or '0')
local lacks = over > millis and redis.call('EXISTS', revoked) == 0
return {epoch, base, seq, text(now), redis.call('EXISTS', log), there and 1 or 0, lacks and 1 or 0}
",
    )
});

/// The events after a number in some topics, if all of them are there.
///
/// Keys: head, log, topics, then each topic. Arguments: the epoch, the number, how many events and how
/// many bytes to return at the most, then the name of each topic. Returns nothing if something is
/// missing, or too much would have to be returned; else the entries of each topic.
pub(crate) static HISTORY: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
local epoch, base, seq, floor = numbering()
local after, events, bytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if epoch ~= ARGV[1] or after > tonumber(seq) or after < tonumber(base) then return false end
local all = {}
for i = 4, #KEYS do
    local last = tonumber(redis.call('ZSCORE', KEYS[3], ARGV[i + 1]) or '0')
    local found = {}
    if last == 0 and floor > after then return false end
    if last > after then
        local first = redis.pcall('XRANGE', KEYS[i], '-', '+', 'COUNT', 1)
        if first.err or #first == 0 then return false end
        if tonumber(field(first[1], 'p') or last) > after then return false end
        local from = text(after) .. '-' .. text(9007199254740991)
        repeat
            local page = redis.call('XRANGE', KEYS[i], '(' .. from, '+', 'COUNT', 50)
            for _, entry in ipairs(page) do
                from = entry[1]
                found[#found + 1] = entry
                events = events - 1
                for _, value in ipairs(entry[2]) do bytes = bytes - #value end
            end
            if events < 0 or bytes < 0 then return false end
        until #page < 50
        if string.match(from, '^%d+') ~= text(last) then return false end
    end
    all[#all + 1] = found
end
return all
",
    )
});

/// Stores that the credentials of users up to a moment are revoked. Each is sent with an ID of its own,
/// and again with the same one to a Redis that has lost it. A new one covers everything up to now by
/// Redis's clock, however far the clock of its node is behind. Each names the one before it: a reader
/// whose last one is another knows that Redis has lost some.
///
/// Keys: head, revocations. Arguments: `new` or `again`, then of each: the ID, the user, the moment in
/// milliseconds, and when it is over; a new one has the time that it lasts instead. Returns the moments that
/// are stored.
pub(crate) static REVOKE: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
local head, revoked = KEYS[1], KEYS[2]
local stored = {}
for i = 2, #ARGV, 4 do
    local til, over = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
    if ARGV[1] == 'new' then til, over = math.max(til, millis), millis + over end
    local newest = redis.pcall('XREVRANGE', revoked, '+', '-', 'COUNT', 1)
    if newest.err then return newest end
    local added = redis.pcall('XADD', revoked, '*', 'i', ARGV[i], 'u', ARGV[i + 1],
        't', text(til), 'o', text(over), 'p', newest[1] and newest[1][1] or '0-0')
    if type(added) == 'table' then return added end
    local last = tonumber(redis.call('HGET', head, 'revoked') or '0')
    redis.call('HSET', head, 'revoked', text(math.max(last, over)))
    local longest = math.max(tonumber(redis.call('HGET', head, 'longest') or '0'), over - millis)
    redis.call('HSET', head, 'longest', text(longest))
    redis.call('XTRIM', revoked, 'MINID', text(millis - longest))
    stored[#stored + 1] = text(til)
end
return stored
",
    )
});

/// What the scripts about nodes have before them. Each script that writes a count renews the lease too:
/// without it the count would be ignored if Redis had lost the lease.
const ALIVE: &str = r"
local function alive_until(nodes, node)
    return tonumber(redis.call('ZSCORE', nodes, node) or '0')
end
local function renew(nodes, node, lease)
    local was_alive = alive_until(nodes, node) >= millis
    redis.call('ZADD', nodes, text(millis + lease), node)
    return was_alive and 1 or 0
end
";

fn about_nodes(body: &str) -> Script {
    script(&format!("{ALIVE}{body}"))
}

/// Renews a lease, or begins one of another name if it is over: what is counted under the old name may be
/// older still, and must not count again. Leases that expired a week ago are removed.
///
/// Key: the nodes. Arguments: the node, the lifetime in milliseconds, the other name, if there is one.
/// Returns whether the lease was still valid.
pub(crate) static RENEW_LEASE: LazyLock<Script> = LazyLock::new(|| {
    about_nodes(
        r"
local is_over = alive_until(KEYS[1], ARGV[1]) < millis
local was_alive = renew(KEYS[1], is_over and ARGV[3] ~= '' and ARGV[3] or ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(millis - 604800000))
redis.call('PEXPIRE', KEYS[1], 1209600000)
return was_alive
",
    )
});

/// Claims a ticket for a single use.
///
/// Key: the ticket. Argument: for how many milliseconds it is remembered. Returns whether it is the first use.
pub(crate) static USE_ONCE: LazyLock<Script> = LazyLock::new(|| {
    Script::new("return redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) and 1 or 0")
});

/// Claims a resumable ticket: it can be used while a stream of it is open, and for a while after. What
/// Redis has of the asking node may be old, and does not count: the node says it itself.
///
/// Keys: the ticket, the nodes. Arguments: the node, the lifetime of its lease, its count of streams
/// with this one, how many milliseconds the counts are kept, how many milliseconds the ticket can be used
/// after its last stream, whether it is fresh, whether that node has a stream of it already. Returns whether it can be used, and whether the lease
/// was still valid.
pub(crate) static CLAIM_RESUMABLE: LazyLock<Script> = LazyLock::new(|| {
    about_nodes(
        r"
local mine = alive_until(KEYS[2], ARGV[1])
local was_alive = renew(KEYS[2], ARGV[1], ARGV[2])
local counts = redis.call('HGETALL', KEYS[1])
local open, ended, dead = ARGV[7] == '1', 0, {}
for i = 1, #counts, 2 do
    local alive = counts[i] == ARGV[1] and mine or alive_until(KEYS[2], counts[i])
    if counts[i] == 'ended' then
        ended = math.max(ended, tonumber(counts[i + 1]))
    elseif counts[i] ~= ARGV[1] and alive >= millis then
        open = true
    else
        -- The node failed with the stream open: it ended when the lease expired. Or the stream of
        -- this node ended, and Redis does not know it yet.
        ended = math.max(ended, math.min(alive, millis))
        dead[#dead + 1] = counts[i]
    end
end
local may = open or (#counts == 0 and ARGV[6] == '1')
    or (#counts > 0 and ended + ARGV[5] > millis)
if not may then return {0, was_alive} end
for _, node in ipairs(dead) do
    redis.call('HDEL', KEYS[1], node)
    redis.call('HSET', KEYS[1], 'ended', text(ended))
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {1, was_alive}
",
    )
});

/// Sets a node's count of a ticket's streams; zero means that the last one has ended.
///
/// Key: the ticket. Arguments: the node, the count, how many milliseconds the count is kept, how many
/// milliseconds the ticket can be used after the last stream, how many milliseconds ago that ended.
pub(crate) static SYNC_TICKET: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if ARGV[2] ~= '0' then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    return 1
end
if redis.call('HDEL', KEYS[1], ARGV[1]) == 1 then
    local known = tonumber(redis.call('HGET', KEYS[1], 'ended') or '0')
    local ended = math.max(known, millis - ARGV[5])
    redis.call('HSET', KEYS[1], 'ended', text(ended))
    if redis.call('HLEN', KEYS[1]) == 1 then
        redis.call('PEXPIRE', KEYS[1], text(math.max(1, ended + ARGV[4] - millis)))
    end
end
return 1
",
    )
});

/// Adds a stream of a user, if all nodes together have fewer than the limit.
///
/// Keys: the user, the nodes. Arguments: the node, the lifetime of its lease, its count with this
/// stream, how many milliseconds the count is kept, the limit. Returns whether the stream was added, and
/// whether the lease was still valid.
pub(crate) static ACQUIRE: LazyLock<Script> = LazyLock::new(|| {
    about_nodes(
        r"
local was_alive = renew(KEYS[2], ARGV[1], ARGV[2])
local counts = redis.call('HGETALL', KEYS[1])
local mine, others = tonumber(ARGV[3]), 0
for i = 1, #counts, 2 do
    if counts[i] ~= ARGV[1] then
        if alive_until(KEYS[2], counts[i]) >= millis then
            others = others + tonumber(counts[i + 1])
        else
            redis.call('HDEL', KEYS[1], counts[i])
        end
    end
end
local free = others + mine <= tonumber(ARGV[5])
if not free then mine = mine - 1 end
if mine > 0 then
    redis.call('HSET', KEYS[1], ARGV[1], text(mine))
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
else
    redis.call('HDEL', KEYS[1], ARGV[1])
end
return {free and 1 or 0, was_alive}
",
    )
});

/// Sets how many streams of a topic a reader has on a node. If a user is there now and had not joined, or has
/// joined and is on no node any more, publishes that. A node whose lease is over has nothing, and any other says so.
///
/// Keys: see [`PUBLISHING`]; then the nodes, the readers of the topic, the users who have joined, the readers of the
/// node, the nodes that have some. Arguments: see there, with no topic if nothing is to be published; then the node,
/// the lifetime of its lease if it says so itself, the reader, the count if it is there, what stands for it among the
/// readers of the node, how many milliseconds the counts are kept. Returns whether the lease was still valid, and the
/// epoch, its base and the number of what was published.
pub(crate) static COUNT_READER: LazyLock<Script> = LazyLock::new(|| {
    about_nodes(&format!(
        "{PUBLISHING}{}",
        r#"
local nodes, readers, joined, attendance, attending = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local node, lease, who, count = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local was_alive = 1
if lease ~= '' then
    was_alive = renew(nodes, node, lease)
elseif alive_until(nodes, node) >= millis then
    return {1, '', 0, 0}
end
local epoch, base, number = '', '0', '0'
if ARGV[5] ~= '' and string.sub(who, 1, 1) == 'u' then
    local user = string.sub(who, 2)
    local here = count ~= ''
    if not here then
        for _, other in ipairs(redis.call('ZRANGEBYSCORE', nodes, text(millis), '+inf')) do
            if other ~= node and redis.call('HEXISTS', readers, other .. who) == 1 then
                here = true
                break
            end
        end
    end
    if here ~= (redis.call('SISMEMBER', joined, user) == 1) then
        local users = redis.call('SCARD', joined) + (here and 1 or -1)
        local topic = string.gsub(cjson.encode(string.sub(ARGV[5], #'presence/' + 1)), '\\/', '/')
        local data = '{"user":' .. cjson.encode(user) .. ',"users":' .. text(users) .. ',"topic":' .. topic .. '}'
        epoch, base, number = publish(false, '', 'd', data, 'n', here and 'join' or 'leave')
        if not epoch then return base end
        redis.call(here and 'SADD' or 'SREM', joined, user)
    end
    redis.call('PEXPIRE', joined, ARGV[11])
end
if count ~= '' then
    redis.call('HSET', readers, node .. who, count)
    redis.call('SADD', attendance, ARGV[10])
    redis.call('SADD', attending, node)
    for _, key in ipairs({readers, attendance, attending}) do redis.call('PEXPIRE', key, ARGV[11]) end
else
    redis.call('HDEL', readers, node .. who)
    redis.call('SREM', attendance, ARGV[10])
end
return {was_alive, epoch, base, number}
"#
    ))
});

/// The nodes that have readers and whose lease is over.
///
/// Keys: the nodes, the nodes that have readers.
pub(crate) static DEAD_NODES: LazyLock<Script> = LazyLock::new(|| {
    about_nodes(
        r"
local dead = {}
for _, node in ipairs(redis.call('SMEMBERS', KEYS[2])) do
    if alive_until(KEYS[1], node) < millis then dead[#dead + 1] = node end
end
return dead
",
    )
});

/// Notes that a node whose lease is over has no readers any more, if it is so.
///
/// Keys: the nodes, the readers of the node, the nodes that have readers. Argument: the node.
pub(crate) static FORGET_NODE: LazyLock<Script> = LazyLock::new(|| {
    about_nodes(
        r"
if alive_until(KEYS[1], ARGV[1]) < millis and redis.call('EXISTS', KEYS[2]) == 0 then
    redis.call('SREM', KEYS[3], ARGV[1])
end
return 1
",
    )
});

/// The readers of a topic with their streams, by node, of the nodes whose lease is valid. A user of another node that
/// has not been announced as gone is there without a stream: it may come back, and would not be announced then.
///
/// Keys: the nodes, the readers of the topic, the users that are announced.
pub(crate) static READERS: LazyLock<Script> = LazyLock::new(|| {
    about_nodes(
        r"
local alive, found = {}, {}
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
    local node = string.sub(all[i], 1, 16)
    if alive[node] == nil then alive[node] = alive_until(KEYS[1], node) >= millis end
    local who = string.sub(all[i], 17)
    if alive[node] then
        found[#found + 1] = who
        found[#found + 1] = all[i + 1]
    elseif string.sub(who, 1, 1) == 'u' and redis.call('SISMEMBER', KEYS[3], string.sub(who, 2)) == 1 then
        found[#found + 1] = who
        found[#found + 1] = '0'
    end
end
return found
",
    )
});

/// All of them: a script that Redis does not know is sent twice, which would break the order of
/// commands.
pub(crate) fn all() -> [&'static Script; 14] {
    [
        &PUBLISH,
        &END,
        &HANDSHAKE,
        &HISTORY,
        &REVOKE,
        &RENEW_LEASE,
        &USE_ONCE,
        &CLAIM_RESUMABLE,
        &SYNC_TICKET,
        &ACQUIRE,
        &COUNT_READER,
        &DEAD_NODES,
        &FORGET_NODE,
        &READERS,
    ]
}
