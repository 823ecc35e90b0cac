use serde::Deserialize;

/// Who may open a stream. Section `[auth]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuthSection {
    required: bool,
    jwt_hs256_secret: Option<String>,
    cookie: Option<String>,
    ticket: Option<toml::Table>,
}

impl AuthSection {
    /// What is asked for, and not there yet.
    pub(crate) fn not_yet(&self) -> Vec<&'static str> {
        [
            (
                self.required,
                "auth.required: not yet supported; write false",
            ),
            (
                self.jwt_hs256_secret.is_some(),
                "auth.jwt_hs256_secret: not yet supported; leave it out",
            ),
            (
                self.cookie.is_some(),
                "auth.cookie: not yet supported; leave it out",
            ),
            (
                self.ticket.is_some(),
                "auth.ticket: not yet supported; leave it out",
            ),
        ]
        .into_iter()
        .filter_map(|(asked, line)| asked.then_some(line))
        .collect()
    }
}
