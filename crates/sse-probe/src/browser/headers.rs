//! The header list of a reply, as the Fetch standard reads it.

use http::HeaderMap;

/// The headers of a reply. Lines of one name keep their order and their number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// A list from names and values, for tests of one's own.
    pub fn from_lines<N: AsRef<str>, V: AsRef<[u8]>>(
        lines: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let line = |(name, value): (N, V)| {
            let value = value.as_ref().trim_ascii().to_vec();
            (name.as_ref().to_ascii_lowercase(), value)
        };
        Self(lines.into_iter().map(line).collect())
    }

    /// All lines: lower-case name, value.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_slice()))
    }

    /// The values of the lines of one name (lower case), in their order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let lines = self.lines().filter(move |(n, _)| *n == name);
        lines.map(|(_, v)| v)
    }

    /// How many lines of that name there are.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.all(name).count()
    }

    /// Whether a line of that name is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.count(name) > 0
    }

    /// ["Get"](https://fetch.spec.whatwg.org/#concept-header-list-get): the values, joined by `, `.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        let values: Vec<_> = self.all(name).collect();
        (!values.is_empty()).then(|| values.join(&b", "[..]))
    }

    /// The same as text, for people: bytes that are not UTF-8 are replaced, control characters escaped.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|v| printable(&v))
    }

    /// The members of a comma-separated list over all lines, in lower case, without parameters.
    #[must_use]
    pub fn tokens(&self, name: &str) -> Vec<String> {
        let token = |member: String| {
            let name = member.split([';', '=']).next().unwrap_or_default();
            name.trim().to_ascii_lowercase()
        };
        self.members(name).into_iter().map(token).collect()
    }

    /// The members of a comma-separated list over all lines, as they stand.
    #[must_use]
    pub fn members(&self, name: &str) -> Vec<String> {
        let members = self.all(name).flat_map(|value| value.split(|b| *b == b','));
        members
            .map(|member| String::from_utf8_lossy(member).trim().to_owned())
            .filter(|member| !member.is_empty())
            .collect()
    }

    /// Whether the comma-separated list holds that token (lower case).
    #[must_use]
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.tokens(name).iter().any(|t| t == token)
    }

    /// The names that occur, each once, in the order of their first line.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.lines() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

impl From<&HeaderMap> for Headers {
    fn from(map: &HeaderMap) -> Self {
        Self::from_lines(map.iter())
    }
}

/// What a server sent, made safe for a terminal or a log and cut at 200 characters.
pub(crate) fn printable(bytes: &[u8]) -> String {
    const SHOWN: usize = 200;
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => harmless(text.get(..end).unwrap_or_default(), &[]) + "…",
        None => harmless(&text, &[]),
    }
}

/// A text that cannot drive a terminal: control characters are escaped, but for those to keep.
pub(crate) fn harmless(text: &str, keep: &[char]) -> String {
    let mut out = String::new();
    for c in text.chars() {
        // Bidirectional overrides would let a text rewrite the line that it is shown in.
        let bidi = matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match (c.is_control() || bidi) && !keep.contains(&c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn get_joins_lines_as_fetch_does() {
        let headers = Headers::from_lines([("A", "1"), ("b", "2"), ("a", " 3 ")]);
        assert_eq!(headers.get("a").as_deref(), Some(&b"1, 3"[..]));
        assert_eq!(headers.get("c"), None);
        assert_eq!(headers.count("a"), 2);
        assert_eq!(headers.names(), ["a", "b"]);
    }

    #[test]
    fn tokens_leave_parameters_and_empty_members_out() {
        let headers = Headers::from_lines([
            ("cache-control", "No-Cache,, max-age=5"),
            ("cache-control", "x;y"),
        ]);
        assert_eq!(
            headers.tokens("cache-control"),
            ["no-cache", "max-age", "x"]
        );
    }

    #[test]
    fn what_a_server_sent_cannot_drive_the_terminal() {
        assert_eq!(printable(b"a\x1b[31m\xff"), "a\\u{1b}[31m\u{fffd}");
        assert_eq!(printable("\u{202e}x".as_bytes()), "\\u{202e}x");
        assert_eq!(printable(&[b'x'; 500]).chars().count(), 201);
    }
}
