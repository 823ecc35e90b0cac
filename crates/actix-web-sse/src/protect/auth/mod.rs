//! Who the client is: credentials out of the request, to an [`Authenticator`], back as an
//! [`Identity`].

mod cache;
pub(crate) mod credentials;
#[cfg(feature = "jwks")]
pub(crate) mod jwks;
#[cfg(feature = "jwt")]
pub(crate) mod jwt;
pub(crate) mod session_cookie;

use std::{fmt, future::Future, net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use actix_web::HttpRequest;
use tokio::time::Instant;

use self::cache::Cache;
use super::{panic::caught, revoked::Revoked};
use crate::{
    config::{AuthConfig, Faults},
    identity::Identity,
    observe::{AuthMethod, Observer, RefusalReason},
};

/// A token as it was presented.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Token<'a> {
    /// The token itself.
    pub text: &'a str,
    /// Where it was: `bearer` or `cookie`.
    pub method: AuthMethod,
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// A request that is to be authenticated.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Attempt<'a> {
    /// The token, if one was presented.
    pub token: Option<Token<'a>>,
    /// The client's address: the peer's, or what a trusted proxy says.
    pub address: Option<IpAddr>,
    /// The request.
    pub request: &'a HttpRequest,
}

/// Why a client was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthError {
    /// Nothing was presented: 401 without an error code.
    Missing,
    /// What was presented does not hold, whatever the reason: 401 `invalid_token`. All reasons
    /// look alike, so that nobody learns from the difference.
    Invalid,
    /// It holds, and does not suffice: 403 `insufficient_scope`.
    Forbidden,
    /// It could not be checked: 503. Nobody is let in unchecked.
    Unavailable,
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "no credentials",
            Self::Invalid => "credentials that do not hold",
            Self::Forbidden => "credentials that do not suffice",
            Self::Unavailable => "the credentials could not be checked",
        })
    }
}

impl std::error::Error for AuthError {}

impl From<AuthError> for RefusalReason {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Missing => Self::Unauthorized,
            AuthError::Invalid => Self::InvalidToken,
            AuthError::Forbidden => Self::InsufficientScope,
            AuthError::Unavailable => Self::AuthUnavailable,
        }
    }
}

/// What an answer of an [`Authenticator`] depends on, and may be remembered by
/// ([`AuthConfig::cache`]).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CacheKey {
    /// On more than can be said: it is not remembered.
    #[default]
    Never,
    /// On the token alone, and nothing else of the request.
    Token,
    /// On the token and on this: the tenant that the request is for, say. It is kept as a digest.
    TokenAnd(String),
}

/// What an [`Authenticator`] returns.
pub type AuthFuture<'a> = Pin<Box<dyn Future<Output = Result<Identity, AuthError>> + 'a>>;

/// Finds out who a token belongs to.
///
/// It runs after every check that is cheaper, limits included, so that nobody can make it work
/// for nothing. It is given [`AuthConfig::timeout`]; when it takes longer or panics, the request
/// is refused with 503. When the client goes away, its future is dropped.
///
/// ```
/// use actix_web_sse::{
///     Identity,
///     protect::{Attempt, AuthError, AuthFuture, Authenticator},
/// };
///
/// struct Sessions; // a pool of connections to where the sessions are
///
/// impl Sessions {
///     async fn user_of(&self, token: &str) -> Result<Option<String>, std::io::Error> {
///         Ok((token == "s3cr3t").then(|| "alice".to_owned()))
///     }
/// }
///
/// impl Authenticator for Sessions {
///     fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
///         Box::pin(async move {
///             let token = attempt.token.ok_or(AuthError::Missing)?;
///             let user = self.user_of(token.text).await.map_err(|_| AuthError::Unavailable)?;
///             user.map(Identity::user).ok_or(AuthError::Invalid)
///         })
///     }
/// }
/// ```
pub trait Authenticator: Send + Sync + 'static {
    /// Says who it is, or why it is not let in. The method of the returned identity is replaced
    /// by the token's, if there was one.
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a>;

    /// What the answer to this attempt depends on, so that it can be remembered where
    /// [`AuthConfig::cache`] is set. Default [`CacheKey::Never`]: an authenticator sees the whole
    /// request, and one that tells tenants apart by `Host` must not have the answer for one tenant
    /// given to another. One that looks at the token alone says [`CacheKey::Token`].
    ///
    /// Asked before [`authenticate`](Self::authenticate), for attempts with a token.
    fn cache_key(&self, attempt: &Attempt<'_>) -> CacheKey {
        let _ = attempt;
        CacheKey::Never
    }

    /// Whether it looks at nothing but tokens. Then requests without one never reach it: they
    /// are anonymous, or refused if authentication is required. Default true; false for what
    /// looks at client certificates or headers of its own.
    fn needs_token(&self) -> bool {
        true
    }
}

/// Checks credentials, as configured.
pub(crate) struct Auth {
    authenticator: Option<Arc<dyn Authenticator>>,
    #[cfg(feature = "jwks")]
    keys: Option<Arc<jwks::KeySet>>,
    cache: Option<Cache>,
    required: bool,
    timeout: Duration,
    cookie: Option<Box<str>>,
}

impl Auth {
    /// As configured. Whatever is wrong with the keys is a fault.
    pub(crate) fn new(
        config: &AuthConfig,
        authenticator: Option<Arc<dyn Authenticator>>,
        observer: &Arc<dyn Observer>,
        faults: &mut Faults,
    ) -> Self {
        let _ = (observer, &faults);
        #[cfg(feature = "jwt")]
        let authenticator = authenticator.or_else(|| {
            jwt::Jwt::shared(config).map(|jwt| Arc::new(jwt) as Arc<dyn Authenticator>)
        });
        #[cfg(feature = "jwks")]
        let keys = config
            .jwks
            .as_ref()
            .and_then(|keys| jwks::KeySet::new(keys, Arc::clone(observer), faults));
        #[cfg(feature = "jwks")]
        let authenticator = authenticator.or_else(|| {
            let jwt = jwt::Jwt::published(config, Arc::clone(keys.as_ref()?));
            Some(Arc::new(jwt) as Arc<dyn Authenticator>)
        });
        Self {
            authenticator,
            #[cfg(feature = "jwks")]
            keys,
            cache: config.cache.as_ref().map(Cache::new),
            required: config.required,
            timeout: config.timeout,
            cookie: config.cookie.as_deref().map(Into::into),
        }
    }

    /// Gets what is needed from elsewhere, so that the first request finds it.
    pub(crate) fn warm_up(&self) {
        #[cfg(feature = "jwks")]
        if let Some(keys) = &self.keys
            && tokio::runtime::Handle::try_current().is_ok()
        {
            keys.warm_up();
        }
    }

    /// Whether anybody looks at tokens.
    pub(crate) const fn checks_tokens(&self) -> bool {
        self.authenticator.is_some()
    }

    /// How long finding out who somebody is may take.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// Forgets what is remembered of a user's tokens.
    pub(crate) fn forget(&self, user: &str) {
        if let Some(cache) = &self.cache {
            cache.forget(user);
        }
    }

    /// Whose token this is, or who it is without one; with the newest revocation before that was
    /// looked up.
    pub(in crate::protect) async fn identify(
        &self,
        token: Option<Token<'_>>,
        address: Option<IpAddr>,
        request: &HttpRequest,
        revoked: &Revoked,
        deadline: Instant,
    ) -> Result<(Identity, u64), RefusalReason> {
        let asked = match (&self.authenticator, token) {
            (Some(authenticator), Some(_)) => Some(authenticator),
            (Some(authenticator), None) if !authenticator.needs_token() => Some(authenticator),
            _ => None,
        };
        let nobody = || (Identity::anonymous(), revoked.newest());
        let (identity, seen) = match asked {
            None if self.required => return Err(RefusalReason::Unauthorized),
            None => return Ok(nobody()),
            Some(authenticator) => {
                let attempt = Attempt {
                    token,
                    address,
                    request,
                };
                let authenticator = authenticator.as_ref();
                match self.ask(authenticator, attempt, revoked, deadline).await {
                    Err(AuthError::Missing) if token.is_none() && !self.required => {
                        return Ok(nobody());
                    }
                    answer => answer?,
                }
            }
        };
        if identity.is_expired() {
            return Err(RefusalReason::InvalidToken);
        }
        Ok((identity, seen))
    }

    async fn ask(
        &self,
        authenticator: &dyn Authenticator,
        attempt: Attempt<'_>,
        revoked: &Revoked,
        deadline: Instant,
    ) -> Result<(Identity, u64), AuthError> {
        // Inside the future, so that a panic before the first await is caught too.
        let asking = caught(async {
            let remembered = self.cache.as_ref().and_then(|cache| {
                let by = attempt.token.map(|_| authenticator.cache_key(&attempt))?;
                Some((cache, Cache::key(&attempt, &by)?))
            });
            if let Some((cache, key)) = &remembered
                && let Some(known) = cache.get(key, revoked)
            {
                return Ok(known);
            }
            let seen = revoked.newest();
            let mut identity = authenticator.authenticate(attempt).await?;
            if let Some(token) = attempt.token {
                identity.method = token.method;
            } else if identity.method == AuthMethod::None {
                identity.method = AuthMethod::Custom;
            }
            // Whoever let it in before, if the authenticator has it from there.
            identity.standing = None;
            if let Some((cache, key)) = remembered {
                cache.put(key, &identity, seen);
            }
            Ok::<_, AuthError>((identity, seen))
        });
        match tokio::time::timeout_at(deadline, asking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(AuthError::Unavailable),
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("required", &self.required)
            .field("cookie", &self.cookie)
            .finish_non_exhaustive()
    }
}
