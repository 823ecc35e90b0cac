//! What a request presents: a token, a ticket, or nothing; never two of a kind that a client puts
//! there on purpose. Of cookies there may be several of one name, and the first that holds counts.

use std::borrow::Cow;

use super::Token;
use crate::{
    observe::AuthMethod,
    protect::{lines, ticket::MAX_ENCODED},
};

/// Longer than any sensible token, and short enough to be checked in microseconds.
const MAX_TOKEN: usize = 8192;

/// The longest token, and some space around it.
const MAX_TRIMMED: usize = MAX_TOKEN + 64;

/// Longer than any cookies or query that a stream is asked for with; what is longer is not
/// searched.
const MAX_SEARCHED: usize = 16 * 1024;

/// How many cookies of one name are tried: each may cost the authenticator something.
const MAX_COOKIES: usize = 8;

/// The query parameter that holds a ticket.
const TICKET: &[u8] = b"ticket";

/// What a request presents.
#[derive(Debug)]
pub(crate) enum Presented<'a> {
    /// Nothing that we look at.
    Nothing,
    /// A bearer token, or what the cookies of one name hold.
    Tokens(Tokens<'a>),
    /// A ticket.
    Ticket(Cow<'a, [u8]>),
    /// A token that is none: no text, or too long.
    Unreadable,
}

/// Tokens of which the first that holds counts.
#[derive(Debug)]
pub(crate) struct Tokens<'a> {
    first: Token<'a>,
    /// As a rule there are none.
    others: Vec<Token<'a>>,
}

impl<'a> Tokens<'a> {
    /// In the order in which they are to be tried.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Token<'a>> {
        std::iter::once(&self.first).chain(&self.others).copied()
    }
}

/// Credentials that contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contradiction;

/// Where to look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places<'a> {
    /// Tokens in the `Authorization` header.
    pub(crate) bearer: bool,
    /// The cookie that holds a token.
    pub(crate) cookie: Option<&'a str>,
    /// The query parameter `ticket`.
    pub(crate) ticket: bool,
}

impl Places<'_> {
    /// There is nowhere to look.
    pub(crate) const fn are_none(self) -> bool {
        !self.bearer && self.cookie.is_none() && !self.ticket
    }
}

/// Reads what is presented. What was put there on purpose (header, ticket) goes before what the
/// browser sends by itself (cookie).
///
/// # Errors
/// Two headers, two tickets, or a token and a ticket; and cookies so long that nobody searches
/// them.
pub(crate) fn present<'a>(
    places: Places<'_>,
    mut authorization: impl Iterator<Item = &'a [u8]>,
    cookies: impl Iterator<Item = &'a [u8]> + Clone,
    query: &'a str,
) -> Result<Presented<'a>, Contradiction> {
    let bearer = match (authorization.next(), authorization.next()) {
        (_, Some(_)) => return Err(Contradiction),
        (Some(line), None) if places.bearer || places.ticket => bearer(line),
        _ => None,
    };
    let ticket = match places.ticket {
        // There may be one, and it does not hold.
        true if query.len() > MAX_SEARCHED => Some(Cow::Borrowed(b"".as_slice())),
        true => ticket(query)?,
        false => None,
    };
    match (bearer, ticket) {
        (Some(_), Some(_)) => Err(Contradiction),
        (Some(token), None) if places.bearer => {
            let token = token_of(token, AuthMethod::Bearer);
            Ok(token.map_or(Presented::Unreadable, |first| {
                Presented::Tokens(Tokens {
                    first,
                    others: Vec::new(),
                })
            }))
        }
        (Some(_), None) => Ok(Presented::Unreadable),
        (None, Some(ticket)) => Ok(Presented::Ticket(ticket)),
        (None, None) => match places.cookie {
            Some(name) => cookie_tokens(name, cookies),
            None => Ok(Presented::Nothing),
        },
    }
}

/// The token, if it can be one.
fn token_of(token: &[u8], method: AuthMethod) -> Option<Token<'_>> {
    let text = (1..=MAX_TOKEN)
        .contains(&token.len())
        .then(|| std::str::from_utf8(token).ok())??;
    Some(Token { text, method })
}

/// The token of an `Authorization: Bearer` line (RFC 6750 § 2.1). Another scheme is somebody
/// else's business, a proxy's for example.
fn bearer(line: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = line.split_at_checked(6)?;
    let separated = token.is_empty() || token.starts_with(b" ");
    // What is too long is no token, however much of it is space.
    let trimmed = || match token.len() {
        0..=MAX_TRIMMED => token.trim_ascii(),
        _ => token,
    };
    (scheme.eq_ignore_ascii_case(b"bearer") && separated).then(trimmed)
}

/// The tokens that the cookies of a name hold (RFC 6265 § 5.4), each once, in the order in which
/// the browser sends them: longer paths first. Two of one name come from different domains or paths;
/// one of them may be a leftover, or an attacker's.
fn cookie_tokens<'a>(
    name: &str,
    lines: impl Iterator<Item = &'a [u8]> + Clone,
) -> Result<Presented<'a>, Contradiction> {
    if !lines::fit(lines.clone(), MAX_SEARCHED) {
        return Err(Contradiction);
    }
    let mut presented = Presented::Nothing;
    for pair in lines.flat_map(|line| line.split(|byte| *byte == b';')) {
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (key, value) = pair.split_at(equals);
        if key.trim_ascii() != name.as_bytes() {
            continue;
        }
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let token = token_of(value, AuthMethod::Cookie);
        match (&mut presented, token) {
            (Presented::Tokens(tokens), Some(token)) => {
                if tokens.iter().all(|known| known.text != token.text) {
                    tokens.others.push(token);
                }
                if tokens.others.len() + 1 >= MAX_COOKIES {
                    break;
                }
            }
            (_, Some(first)) => {
                let others = Vec::new();
                presented = Presented::Tokens(Tokens { first, others });
            }
            (Presented::Nothing, None) => presented = Presented::Unreadable,
            (_, None) => {}
        }
    }
    Ok(presented)
}

/// The ticket of a query, whatever way its name and value are encoded.
fn ticket(query: &str) -> Result<Option<Cow<'_, [u8]>>, Contradiction> {
    let mut found = None;
    for pair in query.as_bytes().split(|byte| *byte == b'&') {
        let equals = pair.iter().position(|byte| *byte == b'=');
        let (key, value) = pair.split_at(equals.unwrap_or(pair.len()));
        if !decoded(key).eq(TICKET.iter().copied()) {
            continue;
        }
        if found.is_some() {
            return Err(Contradiction);
        }
        let value = value.get(1..).unwrap_or_default();
        found = Some(if value.iter().any(|byte| matches!(byte, b'%' | b'+')) {
            // One byte more tells that it is too long.
            let mut text = Vec::with_capacity(value.len().min(MAX_ENCODED + 1));
            text.extend(decoded(value).take(MAX_ENCODED + 1));
            Cow::Owned(text)
        } else {
            Cow::Borrowed(value)
        });
    }
    Ok(found)
}

/// Percent-decoding (WHATWG URL § 5.1).
fn decoded(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (first, tail) = rest.split_first()?;
        rest = tail;
        Some(match first {
            b'+' => b' ',
            b'%' => match (hex(tail.first()), hex(tail.get(1))) {
                (Some(high), Some(low)) => {
                    rest = tail.get(2..).unwrap_or_default();
                    (high * 16 + low) as u8
                }
                _ => b'%',
            },
            byte => *byte,
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVERYWHERE: Places<'_> = Places {
        bearer: true,
        cookie: Some("__Host-sid"),
        ticket: true,
    };

    fn read(authorization: &[&str], cookies: &[&str], query: &str) -> String {
        let presented = present(
            EVERYWHERE,
            authorization.iter().map(|line| line.as_bytes()),
            cookies.iter().map(|line| line.as_bytes()),
            query,
        );
        match presented {
            Err(Contradiction) => "contradiction".into(),
            Ok(Presented::Nothing) => "nothing".into(),
            Ok(Presented::Unreadable) => "unreadable".into(),
            Ok(Presented::Tokens(tokens)) => {
                let texts: Vec<_> = tokens.iter().map(|token| token.text).collect();
                format!("{} {}", tokens.first.method, texts.join(" "))
            }
            Ok(Presented::Ticket(ticket)) => format!("ticket {}", String::from_utf8_lossy(&ticket)),
        }
    }

    #[test]
    fn one_credential_is_found_wherever_it_is() {
        assert_eq!(read(&[], &[], ""), "nothing");
        assert_eq!(read(&["Bearer a.b.c"], &[], ""), "bearer a.b.c");
        assert_eq!(read(&["bearer  a.b.c "], &[], ""), "bearer a.b.c");
        assert_eq!(
            read(&[], &["x=1; __Host-sid=a.b.c; y=2"], ""),
            "cookie a.b.c"
        );
        assert_eq!(read(&[], &["x=1", "__Host-sid=a=b"], ""), "cookie a=b");
        assert_eq!(read(&[], &["x__Host-sid=1; __host-sid=2"], ""), "nothing");
        assert_eq!(read(&[], &[], "topic=t&ticket=abc"), "ticket abc");
        assert_eq!(read(&[], &[], "%74icke%74=a%62c"), "ticket abc");
        assert_eq!(read(&[], &[], "TICKET=abc&ticket2=x"), "nothing");
        assert_eq!(read(&[], &[], "ticket"), "ticket ");
        assert_eq!(read(&["Basic eA=="], &["__Host-sid=a"], ""), "cookie a");
        assert_eq!(read(&["Basic eA=="], &[], ""), "nothing");
    }

    #[test]
    fn what_is_put_there_on_purpose_goes_before_the_cookie() {
        assert_eq!(read(&["Bearer a"], &["__Host-sid=b"], ""), "bearer a");
        assert_eq!(read(&[], &["__Host-sid=b"], "ticket=t"), "ticket t");
    }

    #[test]
    fn t05_credentials_that_may_disagree() {
        assert_eq!(read(&["Bearer a", "Bearer a"], &[], ""), "contradiction");
        assert_eq!(read(&["Bearer a"], &[], "ticket=t"), "contradiction");
        assert_eq!(read(&[], &[], "ticket=a&ticket=b"), "contradiction");
        assert_eq!(read(&[], &[], "ticket=a&%74icket=a"), "contradiction");
    }

    #[test]
    fn w10_cookies_of_one_name_are_tried_in_their_order() {
        assert_eq!(
            read(&[], &["__Host-sid=b; x=1; __Host-sid=a"], ""),
            "cookie b a"
        );
        assert_eq!(read(&[], &["__Host-sid=a", "__Host-sid=a"], ""), "cookie a");
        assert_eq!(
            read(&[], &["__Host-sid=a; __Host-sid=b", "__Host-sid=a"], ""),
            "cookie a b"
        );
        // A cookie that was emptied and not removed, and one that is too long.
        let long = format!("__Host-sid={}", "a".repeat(8193));
        assert_eq!(
            read(&[], &["__Host-sid=; __Host-sid=a", &long], ""),
            "cookie a"
        );
        assert_eq!(read(&[], &["__Host-sid=", &long], ""), "unreadable");
        let many: String = (0..100).map(|n| format!("__Host-sid={n};")).collect();
        assert_eq!(read(&[], &[&many], ""), "cookie 0 1 2 3 4 5 6 7");
    }

    #[test]
    fn what_is_too_long_is_not_searched() {
        let long = "a=b;".repeat(5000);
        assert_eq!(read(&[], &[&long], ""), "contradiction");
        assert_eq!(read(&[], &[], &"a=b&".repeat(5000)), "ticket ");
        assert_eq!(
            read(&["Bearer a"], &[], &"a=b&".repeat(5000)),
            "contradiction"
        );
        assert_eq!(read(&["Bearer a"], &[&long], ""), "bearer a");
    }

    #[test]
    fn a_token_that_is_none() {
        assert_eq!(read(&["Bearer"], &[], ""), "unreadable");
        assert_eq!(read(&["Bearer "], &[], ""), "unreadable");
        assert_eq!(read(&[], &["__Host-sid="], ""), "unreadable");
        assert_eq!(
            read(&[&format!("Bearer {}", "a".repeat(8193))], &[], ""),
            "unreadable"
        );
        let spaces = " ".repeat(100_000);
        assert_eq!(read(&[&format!("Bearer{spaces}a")], &[], ""), "unreadable");
        assert_eq!(
            read(&[&format!("Bearer  {}", "a".repeat(8192))], &[], ""),
            format!("bearer {}", "a".repeat(8192))
        );
        assert_eq!(read(&["Bearerx"], &[], ""), "nothing");
    }

    #[test]
    fn nobody_looks_where_nothing_is_checked() {
        let nowhere = Places {
            bearer: false,
            cookie: None,
            ticket: false,
        };
        let line = b"Bearer a".as_slice();
        let presented = present(nowhere, [line].into_iter(), [line].into_iter(), "ticket=t");
        assert!(matches!(presented, Ok(Presented::Nothing)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            authorization in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..3),
            cookie in prop::collection::vec(any::<u8>(), 0..80),
            query in "[ -~]{0,80}",
        ) {
            let _ = present(
                EVERYWHERE,
                authorization.iter().map(Vec::as_slice),
                std::iter::once(cookie.as_slice()),
                &query,
            );
        }

        #[test]
        fn decoding_undoes_encoding(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let encoded: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(decoded(encoded.as_bytes()).collect::<Vec<_>>(), bytes);
        }
    }
}
