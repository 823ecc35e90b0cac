//! Who may read: the allowed origins, outsiders, error replies.

use super::{Finding, FindingKind, SAME_ORIGIN, Verdict, preflight::passes, remedies};
use crate::{
    browser::{Block, Credentials, Headers, cors_check},
    http::Recording,
    observe::{Attempt, Denied, Outsider, Survey, seen},
    target::{Access, Expectation},
};

const ALLOW_ORIGIN: &str = "access-control-allow-origin";

const THROWN_AWAY: &str =
    "the browser opens the stream, throws it away, and the page gets an error without a reason";

/// The origin that is to be let in.
pub(super) fn cors(survey: &Survey) -> Verdict {
    let Some(sent) = survey.main.route.origin() else {
        return Verdict::skipped(SAME_ORIGIN);
    };
    if survey.main.route.block.is_some() {
        return Verdict::skipped("a redirect is not followed; see the check `redirect`");
    }
    let origin = survey.origin();
    let headers = &survey.main.head.headers;
    let mode = survey.target.credentials;
    if let Err(block) = cors_check(headers, &sent, mode) {
        let seen = format!("{origin} is blocked: {block}");
        return Verdict::bad(Finding::blocked(seen, THROWN_AWAY, remedies_for(&block)));
    }
    let mut findings = Vec::new();
    let star = is_star(headers);
    let public = survey.target.is_public();
    if star && !public {
        findings.push(Finding::insecure(
            "`Access-Control-Allow-Origin: *`",
            "every page on the web may read the stream; if that is meant, say so with `--expect public`",
            remedies::NO_WILDCARD,
        ));
    }
    if survey.target.expectations.contains(&Expectation::Public) && !star {
        let seen = "readable by this origin, but not by everyone";
        let why = "a public stream was expected";
        findings.push(Finding::advice(seen, why, remedies::EXPECTED).unmet());
    }
    if star && headers.get("access-control-allow-credentials").as_deref() == Some(b"true") {
        findings.push(Finding::advice(
            "`Access-Control-Allow-Origin: *` together with `Access-Control-Allow-Credentials: true`",
            "the pair never works with credentials, and is a step away from reflecting every origin",
            remedies::NO_WILDCARD,
        ));
    }
    let how = match (star, mode) {
        (true, _) => "by `*`",
        (_, Credentials::Include) => "with credentials",
        (_, Credentials::Omit) => "without credentials",
    };
    Verdict::with(format!("{origin} may read, {how}"), findings)
}

fn is_star(headers: &Headers) -> bool {
    headers.get(ALLOW_ORIGIN).as_deref() == Some(b"*")
}

fn remedies_for(block: &Block) -> &'static [remedies::Remedy] {
    match block {
        Block::ManyAllowOrigins(_) => remedies::SINGLE_ALLOW_ORIGIN,
        Block::WildcardWithCredentials => remedies::NO_WILDCARD,
        Block::NoAllowCredentials | Block::AllowCredentialsNotTrue(_) => {
            remedies::ALLOW_CREDENTIALS
        }
        Block::NoAllowOrigin | Block::OtherOrigin(_) => remedies::ALLOW_ORIGIN,
    }
}

/// One and only one `Access-Control-Allow-Origin`, on every reply.
pub(super) fn allow_origin_once(survey: &Survey) -> Verdict {
    let others = &survey.others;
    let replies = [
        ("the stream", Some(&survey.main), FindingKind::Blocked),
        (
            "the preflight",
            seen(others.preflight.as_ref()),
            FindingKind::Advice,
        ),
        (
            "the reply without credentials",
            seen(others.anonymous.as_ref()),
            FindingKind::Advice,
        ),
        (
            "the reply to another Accept",
            seen(others.not_acceptable.as_ref()),
            FindingKind::Advice,
        ),
    ];
    for (what, recording, kind) in replies {
        let Some(recording) = recording else { continue };
        let headers = &recording.head.headers;
        let lines = headers.count(ALLOW_ORIGIN);
        let text = headers.text(ALLOW_ORIGIN).unwrap_or_default();
        if lines > 1 || text.contains(',') {
            return Verdict::bad(Finding::new(
                kind,
                format!("{what} has {lines} lines of it: `{text}`"),
                "browsers join the lines and compare the result with the origin, so even two equal lines are blocked",
                remedies::SINGLE_ALLOW_ORIGIN,
            ));
        }
    }
    let there = survey.main.head.headers.has(ALLOW_ORIGIN);
    Verdict::good(if there { "once" } else { "not at all" })
}

/// Every further origin that is to be let in, in each credentials mode, with its preflight.
pub(super) fn allowed_origins(survey: &Survey) -> Verdict {
    let list = &survey.others.allowed;
    if list.is_empty() {
        return Verdict::skipped("no further origins were given with --allow-origin or --policy");
    }
    let policy = survey.target.policy.as_ref();
    let modes: &[Credentials] = match policy {
        Some(policy) if policy.credentials => &Credentials::BOTH,
        Some(_) => &[Credentials::Omit],
        None => std::slice::from_ref(&survey.target.credentials),
    };
    let mut findings = Vec::new();
    let mut unanswered = Vec::new();
    for allowed in list {
        let origin = &allowed.origin;
        let recording = match &allowed.attempt {
            Ok(recording) => recording,
            Err(why) => {
                unanswered.push(format!("{origin}: {why}"));
                continue;
            }
        };
        let refused = modes.iter().find_map(|mode| {
            Some((
                mode,
                recording.route.cors(&recording.head.headers, *mode).err()?,
            ))
        });
        if let Some((mode, block)) = refused {
            let seen = format!(
                "{origin} is blocked (credentials: {}): {block}",
                mode.as_str()
            );
            findings.push(Finding::blocked(seen, THROWN_AWAY, remedies_for(&block)));
        } else if survey.opened() && recording.head.status != 200 {
            let seen = format!("{origin} gets status {}", recording.head.status);
            let why = "the server refuses a page that is to be let in";
            findings.push(Finding::blocked(seen, why, remedies::ALLOW_ORIGIN));
        }
        let with_credentials = recording
            .route
            .cors(&recording.head.headers, Credentials::Include)
            .is_ok();
        if policy.is_some_and(|policy| !policy.credentials) && with_credentials {
            findings.push(Finding::insecure(
                format!("{origin} may read with credentials, which the policy does not allow"),
                "cookies of visitors reach the stream although nobody meant them to",
                remedies::ALLOW_CREDENTIALS,
            ));
        }
        if let Some(Ok(reply)) = &allowed.preflight
            && let Err(block) = passes(survey, reply, origin)
        {
            let seen = format!("{origin} fails the preflight: {block}");
            let why = "fetch clients of that page cannot open the stream";
            findings.push(Finding::blocked(seen, why, remedies::PREFLIGHT));
        }
    }
    if findings.is_empty()
        && let Some(first) = unanswered.first()
    {
        return Verdict::skipped(format!("no answer for {first}"));
    }
    Verdict::with(format!("{} further origins tried", list.len()), findings)
}

/// Foreign origins, look-alikes, `null`, and those that the user named.
pub(super) fn origins(survey: &Survey) -> Verdict {
    if survey.target.is_same_origin() {
        return Verdict::skipped(SAME_ORIGIN);
    }
    let denied = &survey.others.denied;
    if denied.is_empty() {
        return Verdict::skipped(super::NOT_OPEN);
    }
    let public = survey.target.is_public();
    let mut findings = Vec::new();
    let mut opened = Vec::new();
    let mut unanswered = Vec::new();
    let mut judged = 0;
    for outsider in denied {
        let recording = match &outsider.attempt {
            Ok(recording) => recording,
            Err(why) => {
                unanswered.push(why);
                continue;
            }
        };
        judged += 1;
        match open_door(outsider, recording, public) {
            // The check `cors` reports `*` once for all.
            Some(_) if is_star(&recording.head.headers) && outsider.who != Outsider::Named => {}
            Some(finding) => findings.push(finding),
            None if recording.head.status == 200 && !public => {
                opened.push(outsider.origin.as_str());
            }
            None => {}
        }
    }
    if let [first, rest @ ..] = opened.as_slice()
        && !matches!(survey.target.access, Access::Open)
    {
        let more = if rest.is_empty() { "" } else { " and others" };
        findings.push(Finding::advice(
            format!(
                "opened for {} of {judged} other origins ({first}{more}), though browsers keep the page from reading",
                opened.len()
            ),
            "a foreign page can make visitors open streams that hold slots and memory; answer 403 before the stream begins",
            remedies::DENY_ORIGIN,
        ));
    }
    if judged == 0
        && let Some(why) = unanswered.first()
    {
        return Verdict::skipped(format!("other origins got no answer: {why}"));
    }
    let seen = if public && findings.is_empty() {
        "the stream is public: every origin may read".to_owned()
    } else {
        format!("{judged} other origins tried")
    };
    Verdict::with(seen, findings)
}

/// An outsider that a browser would let read.
fn open_door(denied: &Denied, recording: &Recording, public: bool) -> Option<Finding> {
    let headers = &recording.head.headers;
    let origin = &denied.origin;
    let may = |mode| recording.route.block.is_none() && recording.route.cors(headers, mode).is_ok();
    let who = match denied.who {
        Outsider::Foreign => format!("the foreign origin {origin}"),
        Outsider::Named => format!("{origin}, which is to be kept out,"),
        Outsider::LookAlike(mistake) => format!("the look-alike {origin} ({})", mistake.words()),
        Outsider::Null => "the origin `null`".to_owned(),
    };
    // A refusal that the page may read gives it no stream.
    if recording.head.status != 200 {
        return None;
    }
    if may(Credentials::Include) {
        return Some(Finding::insecure(
            format!("{who} may read with credentials"),
            "any such page reads the stream with its visitor's cookies",
            remedies::DENY_ORIGIN,
        ));
    }
    let meant = public && denied.who != Outsider::Named;
    if meant || !may(Credentials::Omit) {
        return None;
    }
    Some(if is_star(headers) {
        Finding::insecure(
            format!("{who} may read without credentials, by `*`"),
            "the stream is open to every page on the web",
            remedies::NO_WILDCARD,
        )
    } else {
        Finding::insecure(
            format!("{who} may read without credentials: its origin is reflected"),
            "the stream is open to every page on the web that the matcher takes for an allowed one",
            remedies::DENY_ORIGIN,
        )
    })
}

/// `Vary: Origin` on replies that differ by origin. A reply that is the same for all needs none.
pub(super) fn vary(survey: &Survey) -> Verdict {
    if survey.target.is_same_origin() {
        return Verdict::skipped(SAME_ORIGIN);
    }
    let main = &survey.main.head;
    let replies = || {
        survey
            .others
            .denied
            .iter()
            .filter_map(|d| d.attempt.as_ref().ok())
    };
    let shown = main.headers.text("vary");
    let seen = shown
        .as_ref()
        .map_or_else(|| "no Vary".to_owned(), |v| format!("`Vary: {v}`"));
    if replies().next().is_none() {
        return Verdict::skipped("no other origin got an answer to compare with");
    }
    let allowed = main.headers.get(ALLOW_ORIGIN);
    let differs =
        |r: &Recording| r.head.status != main.status || r.head.headers.get(ALLOW_ORIGIN) != allowed;
    if !replies().any(differs) {
        return Verdict::good("not needed: the reply is the same for every origin");
    }
    let names = |headers: &Headers| headers.lists("vary", "origin") || headers.lists("vary", "*");
    let mut findings = Vec::new();
    if !names(&main.headers) {
        let without = if shown.is_some() {
            " without Origin"
        } else {
            ""
        };
        findings.push(Finding::advice(
            format!("{seen}{without}"),
            "a cache may hand the reply for one origin to a page of another, which is then blocked",
            remedies::VARY,
        ));
    }
    if let Some(refused) = replies().find(|r| r.head.status >= 400 && !names(&r.head.headers)) {
        findings.push(Finding::advice(
            format!(
                "the {} for another origin has no `Vary: Origin`",
                refused.head.status
            ),
            "a cache may hand the refusal to the allowed origin",
            remedies::VARY,
        ));
    }
    Verdict::with(seen, findings)
}

/// CORS headers on error replies, 429 and 503 included.
pub(super) fn error_cors(survey: &Survey) -> Verdict {
    let Some(origin) = survey.main.route.origin() else {
        return Verdict::skipped(SAME_ORIGIN);
    };
    let others: [Option<&Attempt>; 2] = [
        survey.others.anonymous.as_ref(),
        survey.others.not_acceptable.as_ref(),
    ];
    let main = (!survey.opened()).then_some(&survey.main);
    let errors: Vec<&Recording> = main
        .into_iter()
        .chain(others.into_iter().filter_map(seen))
        .filter(|r| r.head.status >= 400)
        .collect();
    if errors.is_empty() {
        return Verdict::skipped("no error reply was seen");
    }
    let unreadable = errors.iter().filter_map(|r| {
        let block = cors_check(&r.head.headers, &origin, survey.target.credentials).err()?;
        Some(Finding::advice(
            format!("the {} cannot be read: {block}", r.head.status),
            "a fetch client sees a network error instead of the status, and cannot tell a lost session from a broken network",
            remedies::ERROR_CORS,
        ))
    });
    let findings = unreadable.collect();
    let list: Vec<_> = errors.iter().map(|r| r.head.status.to_string()).collect();
    Verdict::with(format!("error replies seen: {}", list.join(", ")), findings)
}
