//! Streams of a user, counted on all nodes together.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web_sse::protect::{NoUserSlot, UserLimitStore, UserSlot};
use actix_web_sse_redis::{RedisBackplane, RedisConfig, RedisUserLimits, UserLimits};

use crate::{
    cut::{cut, cuttable, mend},
    failover::{Pair, in_step},
    node::{config, until},
    server::{LIMIT, Server},
};

/// A node whose streams are slots.
pub(crate) struct Counting {
    pub(crate) backplane: RedisBackplane,
    limits: RedisUserLimits,
    user: Arc<str>,
}

const MAX: u32 = 3;

/// So short that it can be waited for, and longer than a node may be without a processor.
const LEASE: Duration = Duration::from_secs(10);

impl Counting {
    pub(crate) fn start(mut config: RedisConfig, how: UserLimits) -> Self {
        config.user_limits = how;
        config.lease = LEASE;
        let backplane = RedisBackplane::connect(config).unwrap();
        Self {
            limits: backplane.user_limits().unwrap(),
            backplane,
            user: "alice".into(),
        }
    }

    /// Opens a stream, as Redis says or without it.
    pub(crate) async fn open(&self) -> Result<UserSlot, NoUserSlot> {
        self.limits.acquire(&self.user, MAX).await
    }

    /// As `open`, for as often as the node did not wait for the answer: it does so for a second, and a machine may be
    /// slower.
    pub(crate) async fn open_by_redis(&self) -> Result<UserSlot, NoUserSlot> {
        let start = Instant::now();
        loop {
            let before = self.backplane.stats().uncounted;
            let answer = self.open().await;
            let by_itself = self.backplane.stats().uncounted > before
                || matches!(answer, Err(NoUserSlot::Unavailable));
            if !by_itself {
                return answer;
            }
            drop(answer);
            // When Redis has answered this, it has answered what was asked before, and nothing of that is counted.
            let mut by_itself = true;
            while by_itself {
                assert!(start.elapsed() < LIMIT, "Redis does not say");
                let before = self.backplane.stats().uncounted;
                let another = self.limits.acquire(&"another".into(), u32::MAX).await;
                by_itself = another.is_err() || self.backplane.stats().uncounted > before;
            }
        }
    }

    pub(crate) async fn opened(&self) -> UserSlot {
        self.open_by_redis().await.unwrap()
    }

    pub(crate) async fn is_full(&self) -> bool {
        match self.open_by_redis().await {
            Ok(_) => false,
            Err(why) => {
                assert_eq!(why, NoUserSlot::Full);
                true
            }
        }
    }

    /// Opens as soon as it may.
    async fn open_when_free(&self) -> UserSlot {
        let start = Instant::now();
        loop {
            if let Ok(slot) = self.open_by_redis().await {
                return slot;
            }
            assert!(start.elapsed() < LIMIT, "never free");
            actix_web::rt::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// How many streams of alice each node is said to have.
pub(crate) fn counted(server: &Server) -> Vec<i64> {
    let answer = server.command(&["HVALS", "{sse}:user:alice"]);
    let lines: Vec<_> = answer.split("\r\n").skip(1).collect();
    let numbers = lines.chunks(2).filter_map(|pair| pair.get(1)?.parse().ok());
    let mut counts: Vec<_> = numbers.collect();
    counts.sort_unstable();
    counts
}

/// Who is still connecting goes by its own count.
fn connected(nodes: &[&Counting]) -> bool {
    let mut nodes = nodes.iter();
    nodes.all(|node| node.backplane.stats().connected)
}

fn two(server: &Server) -> [Counting; 2] {
    [(); 2].map(|()| Counting::start(config(server), UserLimits::Shared))
}

#[actix_web::test]
async fn s82_a_user_has_the_limit_once_and_not_once_on_each_node() {
    let server = Server::start();
    let [a, b] = two(&server);
    let open = [a.opened().await, b.opened().await, a.opened().await];
    assert_eq!(counted(&server), [1, 2]);
    assert!(a.is_full().await && b.is_full().await);
    // Another user is another matter.
    let bob = "bob".into();
    assert!(b.limits.acquire(&bob, MAX).await.is_ok());
    let [first, second, third] = open;
    drop(first);
    let fourth = b.open_when_free().await;
    assert!(a.is_full().await);
    drop((second, third, fourth));
    until(|| counted(&server).is_empty()).await;
    until(|| server.command(&["KEYS", "{sse}:user:*"]) == "*0\r\n").await;
}

#[actix_web::test]
async fn s82_of_many_who_come_at_once_to_several_nodes_as_many_are_let_in_as_may() {
    let server = Server::start();
    let nodes = two(&server);
    let uncounted = || {
        nodes
            .each_ref()
            .map(|node| node.backplane.stats().uncounted)
    };
    let start = Instant::now();
    let mut rounds = 0;
    while rounds < 10 {
        let before = uncounted();
        let opening = (0..24).map(|n| nodes[n % 2].open());
        let opened = futures_util::future::join_all(opening).await;
        let open: Vec<_> = opened.into_iter().flatten().collect();
        // A round in which Redis was waited for in vain says nothing of what it lets in.
        if uncounted() == before {
            assert_eq!(open.len(), 3);
            rounds += 1;
        }
        assert!(
            start.elapsed() < LIMIT,
            "{rounds} rounds: {:?}",
            uncounted()
        );
        drop(open);
        until(|| counted(&server).is_empty()).await;
    }
}

#[actix_web::test]
async fn s82_who_gives_up_while_redis_thinks_holds_nothing() {
    let server = Server::start();
    let [a, b] = two(&server);
    for _ in 0..50 {
        let mut asking = Box::pin(a.open());
        // Asked, and then gone: before the answer mostly, or with it.
        let answer = futures_util::FutureExt::now_or_never(&mut asking);
        actix_web::rt::task::yield_now().await;
        drop((asking, answer));
    }
    let mut open = Vec::new();
    for _ in 0..MAX {
        open.push(b.open_when_free().await);
    }
    until(|| counted(&server) == [3]).await;
    assert!(a.is_full().await);
    drop(open);
    until(|| counted(&server).is_empty()).await;
}

/// The answer has come, and nobody takes it.
#[actix_web::test]
async fn s82_who_goes_away_between_the_answer_and_its_poll_holds_nothing() {
    let server = Server::start();
    let [a, _b] = two(&server);
    let mut asking = Box::pin(a.open());
    // Otherwise the answer could come before the first look for it.
    server.signal("-STOP");
    assert!(futures_util::FutureExt::now_or_never(&mut asking).is_none());
    server.signal("-CONT");
    until(|| counted(&server) == [1]).await;
    // Answered after it, over the same connection.
    let bob = "bob".into();
    drop(a.limits.acquire(&bob, MAX).await);
    drop(asking);
    until(|| counted(&server).is_empty()).await;
}

#[actix_web::test]
async fn s82_the_streams_of_a_node_that_died_count_no_more_after_its_lease() {
    let server = Server::start();
    let a = Counting::start(cuttable(&server), UserLimits::Shared);
    let b = Counting::start(config(&server), UserLimits::Shared);
    let on_a = [a.opened().await, a.opened().await];
    let on_b = b.opened().await;
    assert!(b.is_full().await);
    // To Redis and to the other nodes it is the same as if it had died.
    cut(&server);
    let second = b.open_when_free().await;
    let third = b.open_when_free().await;
    assert!(b.is_full().await);

    // It had not failed. Its streams count again, and none is admitted above the limit.
    mend(&server);
    until(|| counted(&server) == [2, 3] && connected(&[&a, &b])).await;
    assert!(a.is_full().await && b.is_full().await);
    drop(on_b);
    drop(second);
    until(|| counted(&server) == [1, 2]).await;
    assert!(a.is_full().await && b.is_full().await);
    drop(third);
    let room = b.open_when_free().await;
    assert!(a.is_full().await);
    drop((on_a, room));
    until(|| counted(&server).is_empty()).await;
}

#[actix_web::test]
async fn s82_without_redis_each_node_lets_in_by_its_own_count_and_counts_are_right_again_after() {
    let mut server = Server::start();
    let [a, b] = two(&server);
    let before = a.opened().await;
    server.kill();
    until(|| !a.backplane.stats().connected && !b.backplane.stats().connected).await;
    let uncounted = || [&a, &b].map(|node| node.backplane.stats().uncounted);
    let [by_a, by_b] = uncounted();
    // A policy has a limit of its own for each node in front of this.
    let during = [&a, &a, &b].map(|node| node.open());
    let during = futures_util::future::try_join_all(during).await.unwrap();
    drop(before);
    assert_eq!(uncounted(), [by_a + 2, by_b + 1]);
    server.restart();
    until(|| counted(&server) == [1, 2] && connected(&[&a, &b])).await;
    assert!(a.is_full().await && b.is_full().await);
    drop(during);
    until(|| counted(&server).is_empty()).await;
    let open = [a.opened().await, b.opened().await, b.opened().await];
    assert!(a.is_full().await);
    drop(open);
}

#[actix_web::test]
async fn s82_without_redis_users_are_refused_where_that_is_configured() {
    let mut server = Server::start();
    let a = Counting::start(config(&server), UserLimits::SharedOrRefuse);
    let open = a.opened().await;
    server.kill();
    until(|| !a.backplane.stats().connected).await;
    assert_eq!(a.open().await.unwrap_err(), NoUserSlot::Unavailable);
    server.restart();
    until(|| a.backplane.stats().connected).await;
    let more = [a.opened().await, a.opened().await];
    assert!(a.is_full().await);
    assert_eq!(a.backplane.stats().uncounted, 0);
    drop((open, more));
}

#[actix_web::test]
async fn s82_a_redis_that_hangs_holds_up_a_stream_for_a_second_and_no_longer() {
    let server = Server::start();
    let [a, b] = two(&server);
    server.signal("-STOP");
    let begun = Instant::now();
    let slot = a.open().await.unwrap();
    let took = begun.elapsed();
    server.signal("-CONT");
    // Anything else waits for an answer for longer than that.
    assert!(took < LIMIT / 2, "{took:?}");
    // What Redis was asked for in vain does not count beside it.
    until(|| counted(&server) == [1] && connected(&[&a, &b])).await;
    let more = [b.opened().await, b.opened().await];
    assert!(a.is_full().await);
    drop((slot, more));
    until(|| counted(&server).is_empty()).await;
}

#[actix_web::test]
async fn s82_a_redis_that_lost_the_counts_gets_them_again() {
    let server = Server::start();
    let [a, b] = two(&server);
    let open = [a.opened().await, a.opened().await];
    server.command(&["FLUSHALL"]);
    until(|| counted(&server) == [2]).await;
    let third = b.opened().await;
    assert!(a.is_full().await && b.is_full().await);
    drop((open, third));
    until(|| counted(&server).is_empty()).await;
}

/// Steps drawn by chance: streams open and end, Redis is killed and started again, a node is cut
/// off and let in. In the end Redis has what the nodes have, and nothing when they have nothing.
async fn program(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut server = Server::start();
    let a = Counting::start(cuttable(&server), UserLimits::Shared);
    let b = Counting::start(config(&server), UserLimits::Shared);
    let nodes = [&a, &b];
    let mut open: [Vec<UserSlot>; 2] = Default::default();
    let (mut down, mut off) = (false, false);
    for _ in 0..300 {
        let which = random.usize(0..2);
        match random.u32(0..24) {
            0 => {
                match down {
                    true => server.restart(),
                    false => server.kill(),
                }
                down = !down;
                // Users of Redis live in its memory.
                off = false;
                if !down {
                    cuttable(&server);
                }
            }
            1 if !down => {
                match off {
                    true => mend(&server),
                    false => cut(&server),
                }
                off = !off;
            }
            2..12 => {
                // Each as a browser would: some do not wait for the answer.
                match random.bool() {
                    true => open[which].extend(nodes[which].open().await),
                    false => drop(futures_util::FutureExt::now_or_never(nodes[which].open())),
                }
            }
            12..22 if !open[which].is_empty() => {
                let gone = random.usize(0..open[which].len());
                drop(open[which].swap_remove(gone));
            }
            // What is under way may come to its end, or be overtaken.
            _ => {
                let there = || (down || off || connected(&[&a])) && (down || connected(&[&b]));
                until(there).await;
            }
        }
    }
    if down {
        server.restart();
        cuttable(&server);
    }
    if off {
        mend(&server);
    }
    until(|| connected(&nodes)).await;
    let mut expected: Vec<_> = open.iter().map(|open| open.len() as i64).collect();
    expected.retain(|count| *count > 0);
    expected.sort_unstable();
    until(|| counted(&server) == expected).await;
    drop(open);
    until(|| counted(&server).is_empty()).await;
    // And the limit is what it was.
    let mut streams = Vec::new();
    for n in 0..MAX as usize {
        streams.push(nodes[n % 2].open_when_free().await);
    }
    assert!(a.is_full().await && b.is_full().await, "seed {seed}");
}

#[actix_web::test]
async fn s82_a_program_of_faults_leaves_no_count_wrong() {
    for seed in 1..=4 {
        program(seed).await;
    }
}

/// What Redis says after it is older than the ends of these streams: by less than the lease of their node, or by
/// more.
#[actix_web::test]
async fn s82_streams_whose_ends_were_lost_at_a_fail_over_do_not_count() {
    for older in [Duration::ZERO, LEASE + Duration::from_secs(1)] {
        let mut pair = Pair::start().await;
        let start = || Counting::start(pair.config(), UserLimits::Shared);
        let (a, b) = (start(), start());
        let ended = [a.opened().await, a.opened().await];
        let kept = b.opened().await;
        in_step(&pair.primary, &pair.replica).await;
        pair.wire.sever();
        drop(ended);
        until(|| counted(&pair.primary) == [1]).await;
        actix_web::rt::time::sleep(older).await;
        assert_eq!(counted(&pair.replica), [1, 2]);
        pair.fail_over();
        let went_over = |node: &Counting| node.backplane.stats().failures > 0;
        until(|| went_over(&a) && went_over(&b) && connected(&[&a, &b])).await;
        let open = [b.open_when_free().await, b.open_when_free().await];
        assert!(a.is_full().await && b.is_full().await);
        drop((kept, open));
        let more = [a.open_when_free().await, b.open_when_free().await];
        drop((a.open_when_free().await, more));
    }
}
