//! Tokens as identity providers make them, and what a configuration for them must say.

use actix_web_sse::{Policy, config::AuthConfig};
use jsonwebtoken::{Header, encode};
use serde_json::{Value, json};

use super::issuer::{Answer, ISSUER, Issuer, Key, auth, bearer, behind, now, set};

/// What the issuers send, with names changed.
fn shapes() -> Vec<(&'static str, Value, Value, AuthConfigChange)> {
    let now = now();
    vec![
        (
            "Keycloak",
            json!({"alg": "RS256", "typ": "JWT", "kid": "rsa-1"}),
            json!({
                "exp": now + 300, "iat": now, "jti": "onrtac:6f3d", "iss": "https://sso.example.com/realms/shop",
                "aud": "account", "sub": "1b1e2d9a-6f6c-4a6e-9d0e-0a4b2a7c1d11", "typ": "Bearer", "azp": "spa",
                "sid": "b1c7", "acr": "1", "allowed-origins": ["https://app.example.com"],
                "realm_access": {"roles": ["offline_access"]}, "resource_access": {"account": {"roles": []}},
                "scope": "openid profile email", "email_verified": true, "preferred_username": "ada"
            }),
            |auth| {
                auth.jwt_issuer = vec!["https://sso.example.com/realms/shop".into()];
                auth.jwt_audience = vec!["account".into()];
                auth.jwt_client = vec!["spa".into()];
            },
        ),
        (
            "Auth0",
            json!({"alg": "RS256", "typ": "at+jwt", "kid": "rsa-1"}),
            json!({
                "iss": "https://tenant.eu.auth0.com/", "sub": "auth0|62f0", "iat": now, "exp": now + 86400,
                "aud": ["https://api.example.com", "https://tenant.eu.auth0.com/userinfo"],
                "azp": "mKx7", "scope": "openid read:streams", "permissions": ["read:streams"]
            }),
            |auth| {
                auth.jwt_issuer = vec!["https://tenant.eu.auth0.com/".into()];
                auth.jwt_audience = vec!["https://api.example.com".into()];
            },
        ),
        (
            "Entra ID",
            json!({"typ": "JWT", "alg": "RS256", "x5t": "dGhlIHByaW50", "kid": "rsa-1"}),
            json!({
                "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
                "iss": "https://login.microsoftonline.com/72f988bf/v2.0", "iat": now, "nbf": now + 5,
                "exp": now + 4000, "aio": "ATQAy", "azp": "page", "azpacr": "0", "name": "Ada", "oid": "690222be",
                "preferred_username": "ada@example.com", "rh": "I", "scp": "access_as_user",
                "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ", "tid": "72f988bf", "uti": "fqiBq", "ver": "2.0"
            }),
            |auth| {
                auth.jwt_issuer = vec!["https://login.microsoftonline.com/72f988bf/v2.0".into()];
                auth.jwt_audience = vec!["6e74172b-be56-4843-9ff4-e66a39bb12e3".into()];
            },
        ),
        (
            "Cognito",
            json!({"kid": "rsa-1", "alg": "RS256"}),
            json!({
                "sub": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", "cognito:groups": ["a"],
                "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_x", "version": 2,
                "client_id": "7h3", "origin_jti": "1", "token_use": "access", "scope": "openid",
                "auth_time": now, "exp": now + 3600, "iat": now, "jti": "2", "username": "ada"
            }),
            |auth| {
                auth.jwt_issuer =
                    vec!["https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_x".into()];
                auth.jwt_audience = Vec::new();
                auth.jwt_client = vec!["7h3".into()];
            },
        ),
    ]
}

type AuthConfigChange = fn(&mut AuthConfig);

#[actix_rt::test]
async fn w12_tokens_as_issuers_make_them() {
    // Entra's keys have no algorithm, and much beside them.
    let mut keys = set(&["rsa-1"]);
    let key = keys["keys"][0].as_object_mut().unwrap();
    key.remove("alg");
    key.insert("x5t".into(), json!("dGhlIHByaW50"));
    key.insert("x5c".into(), json!(["MIIC"]));
    key.insert(
        "issuer".into(),
        json!("https://login.microsoftonline.com/{tenantid}/v2.0"),
    );
    let encryption = json!({"kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "kid": "enc", "n": key["n"], "e": "AQAB"});
    keys["keys"].as_array_mut().unwrap().push(encryption);
    let rsa = Key::new("rsa-1");
    for (who, header, claims, change) in shapes() {
        let issuer = Issuer::start(Answer::Json(keys.clone())).await;
        let server = behind(auth(&issuer, change));
        let token = |claims: &Value| {
            let header: Header = serde_json::from_value(header.clone()).unwrap();
            encode(&header, claims, &rsa.key).unwrap()
        };
        let reply = bearer(&server, &token(&claims)).await;
        assert_eq!(reply.status, 200, "{who}");
        for (name, other) in [
            ("iss", json!("https://evil.example.com")),
            ("aud", json!("another")),
            ("exp", json!(now())),
            ("sub", json!("")),
            ("sub", json!(null)),
            ("nbf", json!(now() + 600)),
        ] {
            let mut wrong = claims.clone();
            wrong[name] = other;
            let reply = bearer(&server, &token(&wrong)).await;
            assert_eq!(reply.status, 401, "{who}: {name}");
        }
        // One of the same issuer for another application.
        let name = match who {
            "Keycloak" => "azp",
            "Cognito" => "client_id",
            _ => "aud",
        };
        for other in [json!("another"), json!(null)] {
            let mut wrong = claims.clone();
            wrong[name] = other;
            let reply = bearer(&server, &token(&wrong)).await;
            assert_eq!(reply.status, 401, "{who}: {name}");
        }
    }
}

#[test]
fn w12_what_must_not_build() {
    let key = "jwks = { url = 'https://login.example.com/keys' }";
    let good = format!("{key}\njwt_issuer = ['{ISSUER}']\njwt_audience = ['streams']");
    let build = |auth: &str| {
        let auth = toml::from_str(auth).expect("an auth section");
        Policy::builder().auth(auth).build()
    };
    assert!(build(&good).is_ok());
    for (auth, fault) in [
        (
            format!("{key}\njwt_audience = ['streams']"),
            "auth.jwt_issuer",
        ),
        (
            format!("{key}\njwt_issuer = ['{ISSUER}']"),
            "auth.jwt_audience",
        ),
        (
            format!("{good}\njwt_hs256_secret = 'reference-secret-of-at-least-32-bytes!'"),
            "auth.jwks",
        ),
        (good.replace("https:", "http:"), "auth.jwks.url"),
        (
            good.replace("https://login.example.com/keys", "keys"),
            "auth.jwks.url",
        ),
        (
            good.replace("url = ", "algorithms = [], url = "),
            "auth.jwks.algorithms",
        ),
        (
            good.replace("url = ", "max_age = '0s', url = "),
            "auth.jwks.max_age",
        ),
        (
            good.replace("url = ", "max_age = '2d', url = "),
            "auth.jwks.max_age",
        ),
        (
            good.replace("url = ", "keep = '8d', url = "),
            "auth.jwks.keep",
        ),
        (
            good.replace("url = ", "timeout = '0s', url = "),
            "auth.jwks.timeout",
        ),
        (
            good.replace("url = ", "refetch_pause = '0s', url = "),
            "auth.jwks.refetch_pause",
        ),
        (
            good.replace("url = ", "file = 'keys.json', url = "),
            "auth.jwks",
        ),
        (
            good.replace("url = 'https://login.example.com/keys'", ""),
            "auth.jwks",
        ),
        ("jwt_client = ['page']".to_owned(), "auth.jwt_client"),
    ] {
        let error = build(&auth).expect_err(&auth);
        assert_eq!(error.faults().len(), 1, "{auth}: {error}");
        assert_eq!(error.faults()[0].key, fault, "{error}");
    }
    for unknown in ["HS256", "none", "RS512"] {
        let algorithms = format!("algorithms = ['{unknown}'], url = ");
        let auth = good.replace("url = ", &algorithms);
        assert!(toml::from_str::<AuthConfig>(&auth).is_err(), "{unknown}");
    }
}
