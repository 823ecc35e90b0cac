//! Scripts for leases and for the counts that depend on them: streams of resumable tickets and of
//! users. Each node has its own field in a count, and a lease. When the lease has expired, the node's
//! field is no longer counted.
//!
//! A node always sends the count itself, never a difference. So a command that is sent twice, or lost
//! with a connection and sent again, leaves the count right.

use std::sync::LazyLock;

use redis::Script;

use super::script;

/// The beginning of the scripts below. Each script that writes a count renews the lease too: without
/// it the count would be ignored if Redis had lost the lease.
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

/// Renews a lease. Leases that expired a week ago are removed.
///
/// Key: the nodes. Arguments: the node, the lifetime in milliseconds. Returns whether the lease was
/// still valid.
pub(crate) static RENEW_LEASE: LazyLock<Script> = LazyLock::new(|| {
    about_nodes(
        r"
local was_alive = renew(KEYS[1], ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(millis - 604800000))
redis.call('PEXPIRE', KEYS[1], 1209600000)
return was_alive
",
    )
});

/// Claims a resumable ticket: it can be used while a stream of it is open, and for a while after.
///
/// Keys: the ticket, the nodes. Arguments: the node, the node's count of its streams with this one,
/// whether the ticket is fresh, how many milliseconds it can be used after its last stream, how many
/// milliseconds the counts are kept, the lifetime of the lease. Returns whether the ticket can be
/// used, and whether the lease was still valid.
pub(crate) static CLAIM_RESUMABLE: LazyLock<Script> = LazyLock::new(|| {
    about_nodes(
        r"
local was_alive = renew(KEYS[2], ARGV[1], ARGV[6])
local counts = redis.call('HGETALL', KEYS[1])
local open, ended, dead = false, 0, {}
for i = 1, #counts, 2 do
    if counts[i] == 'ended' then
        ended = math.max(ended, tonumber(counts[i + 1]))
    else
        local alive = alive_until(KEYS[2], counts[i])
        if alive >= millis then
            open = true
        else
            -- The node failed with the stream open: it ended when the lease expired.
            ended = math.max(ended, alive)
            dead[#dead + 1] = counts[i]
        end
    end
end
local may = open or (#counts == 0 and ARGV[3] == '1')
    or (#counts > 0 and ended + ARGV[4] > millis)
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

/// Sets a node's count of a ticket's streams; zero means that the last one has just ended.
///
/// Key: the ticket. Arguments: the node, the count, how many milliseconds the ticket can be used after
/// the last stream, how many milliseconds the count is kept.
pub(crate) static SYNC_TICKET: LazyLock<Script> = LazyLock::new(|| {
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

/// Adds a stream of a user, if all nodes together have fewer than the limit.
///
/// Keys: the user, the nodes. Arguments: the node, its count without this stream, the limit, how many
/// milliseconds the count is kept, the lifetime of the lease. Returns whether the stream was added, and
/// whether the lease was still valid.
pub(crate) static ACQUIRE: LazyLock<Script> = LazyLock::new(|| {
    about_nodes(
        r"
local was_alive = renew(KEYS[2], ARGV[1], ARGV[5])
local counts = redis.call('HGETALL', KEYS[1])
local mine, others = tonumber(ARGV[2]), 0
for i = 1, #counts, 2 do
    if counts[i] ~= ARGV[1] then
        if alive_until(KEYS[2], counts[i]) >= millis then
            others = others + tonumber(counts[i + 1])
        else
            redis.call('HDEL', KEYS[1], counts[i])
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
