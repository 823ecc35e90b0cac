//! Scripts about what nodes hold: the streams of resumable tickets and of users. Each node has a
//! field of its own in what it holds a part of, and a lease: if it dies, its part counts no more
//! once the lease is over.
//!
//! A node always says how many it has, and never how many more or fewer: so a word that is said
//! twice, or lost with a connection and said again, does no harm.

use std::sync::LazyLock;

use redis::Script;

use super::script;

/// What the scripts below begin with: until when a node is alive, and that this one is. Whoever says
/// what it holds says so, too: for it would not count otherwise, should Redis have lost the lease.
const ALIVE: &str = r"
local millis = math.floor(now / 1000)
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

/// A node is alive, and will be for a while. Those that have not been for a week are forgotten.
///
/// Key: the nodes. Arguments: the node, for how many milliseconds. Returns whether it was alive for
/// the others all the time.
pub(crate) static LEASE: LazyLock<Script> = LazyLock::new(|| {
    about_nodes(
        r"
local was_alive = renew(KEYS[1], ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(millis - 604800000))
redis.call('PEXPIRE', KEYS[1], 1209600000)
return was_alive
",
    )
});

/// A ticket that may be used again while a stream of it is open, and for a while after.
///
/// Keys: the ticket, the nodes. Arguments: the node, how many streams of it the node has with this
/// one, whether the ticket is fresh, for how many milliseconds it may be used after the last
/// stream, for how many all this is kept, for how many the node will be alive. Returns whether it
/// may be used, and whether the node was alive for the others all the time.
pub(crate) static CLAIM_RESUMABLE: LazyLock<Script> = LazyLock::new(|| {
    about_nodes(
        r"
local was_alive = renew(KEYS[2], ARGV[1], ARGV[6])
local held = redis.call('HGETALL', KEYS[1])
local open, ended, dead = false, 0, {}
for i = 1, #held, 2 do
    if held[i] == 'ended' then
        ended = math.max(ended, tonumber(held[i + 1]))
    else
        local alive = alive_until(KEYS[2], held[i])
        if alive >= millis then
            open = true
        else
            -- It died with the stream: that ended when the lease did.
            ended = math.max(ended, alive)
            dead[#dead + 1] = held[i]
        end
    end
end
local may = open or (#held == 0 and ARGV[3] == '1')
    or (#held > 0 and ended + ARGV[4] > millis)
if not may then return {0, was_alive} end
for _, node in ipairs(dead) do
    redis.call('HDEL', KEYS[1], node)
    redis.call('HSET', KEYS[1], 'ended', text(ended))
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {1, was_alive}
",
    )
});

/// How many streams of a ticket a node has now; none: the last one has just ended.
///
/// Key: the ticket. Arguments: the node, how many, for how many milliseconds the ticket may be used
/// after the last one, for how many all this is kept.
pub(crate) static SETTLE_TICKET: LazyLock<Script> = LazyLock::new(|| {
    about_nodes(
        r"
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if ARGV[2] ~= '0' then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
    return 1
end
if redis.call('HDEL', KEYS[1], ARGV[1]) == 1 then
    redis.call('HSET', KEYS[1], 'ended', text(millis))
    if redis.call('HLEN', KEYS[1]) == 1 then
        redis.call('PEXPIRE', KEYS[1], ARGV[3])
    end
end
return 1
",
    )
});

/// One more stream of a user, if all nodes together have fewer than the limit.
///
/// Keys: the user, the nodes. Arguments: the node, how many it has without this one, the limit, for
/// how many milliseconds all this is kept, for how many the node will be alive. Returns whether
/// there is one more, and whether the node was alive for the others all the time.
pub(crate) static ACQUIRE: LazyLock<Script> = LazyLock::new(|| {
    about_nodes(
        r"
local was_alive = renew(KEYS[2], ARGV[1], ARGV[5])
local held = redis.call('HGETALL', KEYS[1])
local mine, others = tonumber(ARGV[2]), 0
for i = 1, #held, 2 do
    if held[i] ~= ARGV[1] then
        if alive_until(KEYS[2], held[i]) >= millis then
            others = others + tonumber(held[i + 1])
        else
            redis.call('HDEL', KEYS[1], held[i])
        end
    end
end
local free = others + mine < tonumber(ARGV[3])
if free then mine = mine + 1 end
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
