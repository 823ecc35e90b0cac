//! Who may read: the allowed origins, outsiders, error replies.

use super::{
    Finding, NOT_OPEN, SAME_ORIGIN, Text, Verdict, access::passes, found, good, remedies, texts,
};
use crate::{
    browser::{Block, Credentials, Headers, cors_check},
    observe::{Denied, Outsider, Survey, seen},
    target::{Access, Expectation},
};

const ALLOW_ORIGIN: &str = "access-control-allow-origin";

/// The origin that is to be let in.
pub(super) fn cors(survey: &Survey) -> Verdict {
    let sent = survey.main.route.origin().ok_or(SAME_ORIGIN)?;
    if survey.main.route.block.is_some() {
        return Err("a redirect is not followed; see the check `redirect`".to_owned());
    }
    let origin = survey.origin();
    let headers = &survey.main.head.headers;
    let mode = survey.target.credentials;
    if let Err(block) = cors_check(headers, &sent, mode) {
        return found(blocked(&block).seen(format!("{origin} is blocked: {block}")));
    }
    let mut findings = Vec::new();
    let star = is_star(headers);
    if star && !survey.target.is_public() {
        findings.push(texts::PUBLIC.seen("`Access-Control-Allow-Origin: *`"));
    }
    if survey.target.expects(&Expectation::Public) && !star {
        let seen = "readable by this origin, but not by everyone";
        findings.push(texts::NOT_PUBLIC.seen(seen).unmet_if(true));
    }
    if star && headers.get("access-control-allow-credentials").as_deref() == Some(b"true") {
        let seen = "`Access-Control-Allow-Origin: *` together with `Access-Control-Allow-Credentials: true`";
        findings.push(texts::WILDCARD_AND_CREDENTIALS.seen(seen));
    }
    let how = match (star, mode) {
        (true, _) => "by `*`",
        (_, Credentials::Include) => "with credentials",
        (_, Credentials::Omit) => "without credentials",
    };
    Ok((format!("{origin} may read, {how}"), findings))
}

fn is_star(headers: &Headers) -> bool {
    headers.get(ALLOW_ORIGIN).as_deref() == Some(b"*")
}

/// A page that is to be let in cannot read.
fn blocked(block: &Block) -> Text {
    texts::THROWN_AWAY.with(match block {
        Block::ManyAllowOrigins(_) => remedies::SINGLE_ALLOW_ORIGIN,
        Block::WildcardWithCredentials => remedies::NO_WILDCARD,
        Block::NoAllowCredentials | Block::AllowCredentialsNotTrue(_) => {
            remedies::ALLOW_CREDENTIALS
        }
        Block::NoAllowOrigin | Block::OtherOrigin(_) => remedies::ALLOW_ORIGIN,
    })
}

/// One and only one `Access-Control-Allow-Origin`, on every reply.
pub(super) fn allow_origin_once(survey: &Survey) -> Verdict {
    let others = &survey.others;
    for (what, recording) in [
        ("the stream", Some(&survey.main)),
        ("the preflight", seen(&others.preflight)),
        ("the reply without credentials", seen(&others.anonymous)),
        ("the reply to another Accept", seen(&others.not_acceptable)),
    ] {
        let Some(recording) = recording else { continue };
        let headers = &recording.head.headers;
        let lines = headers.count(ALLOW_ORIGIN);
        let text = headers.text(ALLOW_ORIGIN).unwrap_or_default();
        if lines > 1 || text.contains(',') {
            let seen = format!("{what} has {lines} lines of it: `{text}`");
            let harmless = what != "the stream";
            return found(texts::SEVERAL_LINES.advice_if(harmless).seen(seen));
        }
    }
    let there = survey.main.head.headers.has(ALLOW_ORIGIN);
    good(if there { "once" } else { "not at all" })
}

/// Every further origin that is to be let in, in each credentials mode, with its preflight. With a policy the target's own
/// origin as well: the check `cors` judges it in one mode only.
pub(super) fn allowed_origins(survey: &Survey) -> Verdict {
    let target = &survey.target;
    let policy = target.policy.as_ref().map(|p| p.credentials);
    let further = survey.others.allowed.iter();
    let further = further.map(|a| (&a.origin, a.attempt.as_ref(), a.preflight.as_ref()));
    let own = target.origin.as_ref().filter(|_| {
        let route = &survey.main.route;
        policy.is_some() && route.origin().is_some() && route.block.is_none()
    });
    let list: Vec<_> = further
        .chain(own.map(|origin| (origin, Ok(&survey.main), None)))
        .collect();
    if list.is_empty() {
        return Err("no further origins were given with --allow-origin or --policy".to_owned());
    }
    let modes: &[Credentials] = match policy {
        Some(true) => Credentials::ALL,
        Some(false) => &[Credentials::Omit],
        None => std::slice::from_ref(&survey.target.credentials),
    };
    let mut findings = Vec::new();
    let mut unanswered = None;
    for (origin, attempt, preflight) in &list {
        let judged = |mode: &&Credentials| own != Some(*origin) || **mode != target.credentials;
        let recording = match attempt {
            Ok(recording) => recording,
            Err(why) => {
                unanswered.get_or_insert(format!("no answer for {origin}: {why}"));
                continue;
            }
        };
        let read = |mode| recording.route.cors(&recording.head.headers, mode);
        let block = |mode: &Credentials| Some((*mode, read(*mode).err()?));
        if let Some((mode, block)) = modes.iter().filter(judged).find_map(block) {
            let seen = format!("{origin} is blocked (credentials: {mode}): {block}");
            findings.push(blocked(&block).seen(seen));
        } else if survey.opened() && recording.head.status != 200 {
            let seen = format!("{origin} gets status {}", recording.head.status);
            findings.push(texts::ALLOWED_REFUSED.seen(seen));
        }
        if policy == Some(false) && read(Credentials::Include).is_ok() {
            let seen = format!("{origin} may read with credentials, against the policy");
            findings.push(texts::MORE_THAN_THE_POLICY.seen(seen));
        }
        if let Some(Ok(reply)) = preflight
            && let Err(block) = passes(survey, reply, origin)
        {
            let seen = format!("{origin} fails the preflight: {block}");
            findings.push(texts::ALLOWED_PREFLIGHT.seen(seen));
        }
    }
    match unanswered {
        Some(why) if findings.is_empty() => Err(why),
        _ => Ok((format!("{} allowed origins tried", list.len()), findings)),
    }
}

/// Foreign origins, look-alikes, `null`, and those that the user named.
pub(super) fn origins(survey: &Survey) -> Verdict {
    let denied = &survey.others.denied;
    let public = survey.target.is_public();
    let mut findings = Vec::new();
    let mut opened = Vec::new();
    let mut judged = 0;
    let mut unanswered = None;
    for outsider in denied {
        let recording = match &outsider.attempt {
            Ok(recording) => recording,
            Err(why) => {
                unanswered.get_or_insert(why);
                continue;
            }
        };
        judged += 1;
        match open_door(outsider, public) {
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
        let of = format!("{} of {judged} other origins ({first}{more})", opened.len());
        let seen = format!("opened for {of}, though browsers keep the page from reading");
        findings.push(texts::OPENED_FOR_OTHERS.seen(seen));
    }
    match unanswered {
        _ if denied.is_empty() => Err(NOT_OPEN.to_owned()),
        Some(why) if judged == 0 => Err(format!("other origins got no answer: {why}")),
        _ if public && findings.is_empty() => good("the stream is public: every origin may read"),
        _ => Ok((format!("{judged} other origins tried"), findings)),
    }
}

/// An outsider that a browser would let read.
fn open_door(denied: &Denied, public: bool) -> Option<Finding> {
    let stream = denied.stream()?;
    let origin = &denied.origin;
    let who = match denied.who {
        Outsider::Foreign => format!("the foreign origin {origin}"),
        Outsider::Named => format!("{origin}, which is to be kept out,"),
        Outsider::LookAlike(mistake) => format!("the look-alike {origin} ({mistake})"),
        Outsider::Null => "the origin `null`".to_owned(),
    };
    if stream.can_be_read(Credentials::Include) {
        return Some(texts::READ_WITH_COOKIES.seen(format!("{who} may read with credentials")));
    }
    let meant = public && denied.who != Outsider::Named;
    if meant || !stream.can_be_read(Credentials::Omit) {
        return None;
    }
    let (text, how) = match is_star(&stream.head.headers) {
        true => (texts::READ_BY_STAR, ", by `*`"),
        false => (texts::REFLECTED, ": its origin is reflected"),
    };
    Some(text.seen(format!("{who} may read without credentials{how}")))
}

/// `Vary: Origin` on replies that differ by origin. A reply that is the same for all needs none.
pub(super) fn vary(survey: &Survey) -> Verdict {
    let main = &survey.main.head;
    let replies = survey.others.denied.iter();
    let replies = replies.filter_map(|d| d.attempt.as_ref().ok());
    let replies: Vec<_> = replies.map(|reply| &reply.head).collect();
    if replies.is_empty() {
        return Err("no other origin got an answer to compare with".to_owned());
    }
    let key = |status, headers: &Headers| (status, headers.get(ALLOW_ORIGIN));
    let own = key(main.status, &main.headers);
    if replies.iter().all(|r| key(r.status, &r.headers) == own) {
        return good("not needed: the reply is the same for every origin");
    }
    let shown = main.headers.text("vary");
    let without = if shown.is_some() {
        " without Origin"
    } else {
        ""
    };
    let seen = shown.map_or("no Vary".to_owned(), |v| format!("`Vary: {v}`"));
    let names = |headers: &Headers| headers.lists("vary", "origin") || headers.lists("vary", "*");
    let mut findings = Vec::new();
    if !names(&main.headers) {
        findings.push(texts::VARY.seen(format!("{seen}{without}")));
    }
    let mut refusals = replies.iter().filter(|r| r.status >= 400);
    if let Some(refused) = refusals.find(|r| !names(&r.headers)) {
        let what = format!("the {} for another origin", refused.status);
        findings.push(texts::VARY_OF_REFUSAL.seen(format!("{what} has no `Vary: Origin`")));
    }
    Ok((seen, findings))
}

/// CORS headers on error replies, 429 and 503 included.
pub(super) fn error_cors(survey: &Survey) -> Verdict {
    let origin = survey.main.route.origin().ok_or(SAME_ORIGIN)?;
    let others = [&survey.others.anonymous, &survey.others.not_acceptable];
    let main = (!survey.opened()).then_some(&survey.main);
    let replies = main.into_iter().chain(others.into_iter().filter_map(seen));
    let mut statuses = Vec::new();
    let mut findings = Vec::new();
    for reply in replies.map(|r| &r.head).filter(|head| head.status >= 400) {
        statuses.push(reply.status.to_string());
        if let Err(block) = cors_check(&reply.headers, &origin, survey.target.credentials) {
            let seen = format!("the {} cannot be read: {block}", reply.status);
            findings.push(texts::ERROR_CORS.seen(seen));
        }
    }
    if statuses.is_empty() {
        return Err("no error reply was seen".to_owned());
    }
    let seen = format!("error replies seen: {}", statuses.join(", "));
    Ok((seen, findings))
}
