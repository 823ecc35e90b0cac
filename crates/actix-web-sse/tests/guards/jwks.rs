//! Tokens signed with the published keys of an issuer, and an issuer that rotates them, fails and
//! lies. The keys in `keys/` are for these tests alone.

use std::{
    io::Write,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web_sse::{Policy, config::AuthConfig};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::support::{APP, LIMIT, Recording, Reply, Server, reference, streams, wait_until};

const ISSUER: &str = "https://login.example.com/realms/shop";

/// A key of an issuer.
struct Key {
    id: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Key {
    fn new(id: &str) -> Self {
        let (id, algorithm, key) = match id {
            "rsa-1" => (
                "rsa-1",
                Algorithm::RS256,
                EncodingKey::from_rsa_der(include_bytes!("keys/rsa-1.der")),
            ),
            "rsa-2" => (
                "rsa-2",
                Algorithm::RS256,
                EncodingKey::from_rsa_der(include_bytes!("keys/rsa-2.der")),
            ),
            "ec" => (
                "ec",
                Algorithm::ES256,
                EncodingKey::from_ec_der(include_bytes!("keys/ec.der")),
            ),
            _ => (
                "ed",
                Algorithm::EdDSA,
                EncodingKey::from_ed_der(include_bytes!("keys/ed.der")),
            ),
        };
        Self { id, algorithm, key }
    }

    /// As the issuer publishes it.
    fn published(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.to_owned());
        encode(&header, claims, &self.key).unwrap()
    }

    fn token(&self) -> String {
        self.sign(&claims())
    }
}

fn set(keys: &[&str]) -> Value {
    let keys: Vec<_> = keys.iter().map(|id| Key::new(id).published()).collect();
    json!({ "keys": keys })
}

fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

fn claims() -> Value {
    json!({"sub": "ada", "exp": now() + 600, "iat": now(), "iss": ISSUER, "aud": ["streams", "other"]})
}

/// What the issuer answers.
#[derive(Clone)]
enum Answer {
    Json(Value),
    /// Whatever this is, as it is; then the connection ends.
    Raw(Vec<u8>),
    /// A head, and bytes without end.
    Endless,
    /// Nothing.
    Silence,
}

impl Answer {
    fn keys(keys: &[&str]) -> Self {
        Self::Json(set(keys))
    }

    fn text(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n");
        Self::Raw(format!("{head}{body}").into_bytes())
    }
}

struct Issuer {
    address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Self {
            address: listener.local_addr().unwrap(),
            answer: Arc::new(Mutex::new(answer)),
            asked: Arc::default(),
        };
        let (answer, asked) = (Arc::clone(&issuer.answer), Arc::clone(&issuer.asked));
        actix_rt::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                asked.fetch_add(1, Ordering::SeqCst);
                let answer = answer.lock().unwrap().clone();
                actix_rt::spawn(async move { drop(serve(socket, answer).await) });
            }
        });
        issuer
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn serve(mut socket: TcpStream, answer: Answer) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("GET /keys?v=1 HTTP/1.1\r\n"), "{head}");
    match answer {
        Answer::Json(json) => {
            let body = json.to_string();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
            // In chunks, as frameworks do.
            let body = format!(
                "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            );
            socket.write_all(format!("{head}{body}").as_bytes()).await
        }
        Answer::Raw(bytes) => socket.write_all(&bytes).await,
        Answer::Endless => {
            socket
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"keys\": [")
                .await?;
            loop {
                socket.write_all(&[b' '; 4096]).await?;
            }
        }
        Answer::Silence => {
            let _ = socket.read_u8().await;
            Ok(())
        }
    }
}

fn auth(issuer: &Issuer, change: impl FnOnce(&mut AuthConfig)) -> AuthConfig {
    let text = format!(
        r#"
        required = true
        timeout = "5s"
        jwt_issuer = ["{ISSUER}"]
        jwt_audience = ["streams"]

        [jwks]
        url = "http://{}/keys?v=1"
        timeout = "1s"
        refetch_pause = "1s"
        "#,
        issuer.address
    );
    let mut auth = toml::from_str(&text).unwrap();
    change(&mut auth);
    auth
}

fn behind(auth: AuthConfig) -> Server {
    let recording: Arc<Recording> = Arc::default();
    let policy = reference(&recording).auth(auth).build().unwrap();
    Server::start(&recording, streams(policy))
}

async fn bearer(server: &Server, token: &str) -> Reply {
    let lines = format!("Origin: {APP}\r\nAuthorization: Bearer {token}\r\n");
    server.get(&lines).await
}

/// Asks until the answer is this one.
async fn becomes(server: &Server, token: &str, status: u16) {
    let limit = Instant::now() + LIMIT;
    loop {
        let reply = bearer(server, token).await;
        if reply.status == status {
            return;
        }
        assert!(Instant::now() < limit, "{} and not {status}", reply.status);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[actix_rt::test]
async fn w12_tokens_of_all_three_algorithms_open_streams() {
    let issuer = Issuer::start(Answer::keys(&["rsa-1", "ec", "ed"])).await;
    let server = behind(auth(&issuer, |_| {}));
    for key in ["rsa-1", "ec", "ed"] {
        bearer(&server, &Key::new(key).token()).await.assert_ok();
    }
    assert_eq!(issuer.asked(), 1, "the keys are kept");
    let keys = server.recording.keys.lock().unwrap().clone();
    assert_eq!(keys, [Ok(3)]);
}

#[actix_rt::test]
async fn w12_the_keys_are_there_before_the_first_request() {
    let issuer = Issuer::start(Answer::keys(&["ec"])).await;
    let server = behind(auth(&issuer, |_| {}));
    wait_until("they are read", || {
        !server.recording.keys.lock().unwrap().is_empty()
    })
    .await;
    issuer.answers(Answer::Silence);
    bearer(&server, &Key::new("ec").token()).await.assert_ok();
}

#[actix_rt::test]
async fn w12_a_new_key_costs_one_reading_and_made_up_ones_no_more() {
    let issuer = Issuer::start(Answer::keys(&["rsa-1"])).await;
    let server = behind(auth(&issuer, |_| {}));
    bearer(&server, &Key::new("rsa-1").token())
        .await
        .assert_ok();
    let since = Instant::now();
    issuer.answers(Answer::keys(&["rsa-2"]));
    let new = Key::new("rsa-2").token();
    becomes(&server, &new, 200).await;
    assert_eq!(issuer.asked(), 2);
    bearer(&server, &Key::new("rsa-1").token())
        .await
        .assert_err(401);
    for n in 0..50 {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(format!("made-up-{n}"));
        let token = encode(&header, &claims(), &Key::new("rsa-2").key).unwrap();
        bearer(&server, &token).await.assert_err(401);
    }
    let most = 2 + since.elapsed().as_secs() as usize;
    assert!(issuer.asked() <= most, "{} of {most}", issuer.asked());
    bearer(&server, &new).await.assert_ok();
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[actix_rt::test]
async fn w12_what_was_not_signed_by_the_issuer_looks_alike() {
    let issuer = Issuer::start(Answer::keys(&["rsa-1", "ec"])).await;
    let server = behind(auth(&issuer, |_| {}));
    let rsa = Key::new("rsa-1");
    bearer(&server, &rsa.token()).await.assert_ok();
    let good = rsa.token();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let other = part(&json!({"sub": "eve", "exp": now() + 600, "iss": ISSUER, "aud": "streams"}));
    let none = |alg: &str| part(&json!({"alg": alg, "kid": "rsa-1"}));
    // The public key as a shared one, in every form that it could be taken in.
    let published = rsa.published();
    let n = published["n"].as_str().unwrap();
    let shared = |secret: &[u8], algorithm| {
        let mut header = Header::new(algorithm);
        header.kid = Some("rsa-1".to_owned());
        encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap()
    };
    let with = |change: &dyn Fn(&mut Header)| {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some("rsa-1".to_owned());
        change(&mut header);
        encode(&header, &claims(), &Key::new("rsa-2").key).unwrap()
    };
    let mut bodies = Vec::new();
    for token in [
        format!("{}.{payload}.", none("none")),
        format!("{}.{payload}.{signature}", none("None")),
        format!("{}.{payload}.", none("")),
        format!("{}.{payload}.{signature}", none("RS512")),
        format!("{}.{payload}.{signature}", none("PS256")),
        format!("{}.{payload}.{signature}", none("ES256")),
        format!("{header}.{other}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}.{signature}A"),
        shared(n.as_bytes(), Algorithm::HS256),
        shared(&URL_SAFE_NO_PAD.decode(n).unwrap(), Algorithm::HS256),
        shared(published.to_string().as_bytes(), Algorithm::HS256),
        shared(b"", Algorithm::HS256),
        shared(n.as_bytes(), Algorithm::HS512),
        // Signed with another key, which comes along.
        with(&|_| {}),
        with(&|header| {
            header.jwk =
                Some(Jwk::from_encoding_key(&Key::new("rsa-2").key, Algorithm::RS256).unwrap())
        }),
        with(&|header| header.jku = Some(format!("http://{}/keys", issuer.address))),
        // Another key's name, and something that is no access token.
        with(&|header| header.kid = Some("ec".to_owned())),
        with(&|header| header.typ = Some("logout+jwt".to_owned())),
        {
            let mut header = Header::new(Algorithm::RS256);
            header.kid = Some("rsa-1".to_owned());
            header.crit = Some(vec!["exp".to_owned()]);
            encode(&header, &claims(), &rsa.key).unwrap()
        },
        {
            let mut header = Header::new(Algorithm::RS256);
            header.kid = Some("rsa-1".to_owned());
            header.typ = Some("logout+jwt".to_owned());
            encode(&header, &claims(), &rsa.key).unwrap()
        },
    ] {
        let mut reply = bearer(&server, &token).await;
        reply.assert_err(401);
        bodies.push(reply.body().await);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(issuer.asked() <= 2, "only one of them named an unknown key");
    bearer(&server, &good).await.assert_ok();
}

#[actix_rt::test]
async fn w12_a_token_without_the_name_of_its_key() {
    let issuer = Issuer::start(Answer::keys(&["rsa-1", "ec"])).await;
    let server = behind(auth(&issuer, |_| {}));
    let unnamed = |key: &str| {
        let key = Key::new(key);
        encode(&Header::new(key.algorithm), &claims(), &key.key).unwrap()
    };
    bearer(&server, &unnamed("rsa-1")).await.assert_ok();
    bearer(&server, &unnamed("ec")).await.assert_ok();
    bearer(&server, &unnamed("ed")).await.assert_err(401);
    // Which of two is not guessed.
    issuer.answers(Answer::keys(&["rsa-1", "rsa-2"]));
    becomes(&server, &Key::new("rsa-2").token(), 200).await;
    bearer(&server, &unnamed("rsa-1")).await.assert_err(401);
}

/// Keys of one name: each was published by the issuer, and the one that fits is found.
#[actix_rt::test]
async fn w12_two_keys_of_one_name() {
    let mut both = set(&["rsa-1", "rsa-2", "ec"]);
    for key in both["keys"].as_array_mut().unwrap() {
        key["kid"] = json!("same");
    }
    // A secret among them is not taken for a key.
    let secret = json!({"kty": "oct", "kid": "same", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode("x".repeat(40))});
    both["keys"].as_array_mut().unwrap().insert(0, secret);
    let issuer = Issuer::start(Answer::Json(both)).await;
    let server = behind(auth(&issuer, |_| {}));
    let named = |key: &str| {
        let key = Key::new(key);
        let mut header = Header::new(key.algorithm);
        header.kid = Some("same".to_owned());
        encode(&header, &claims(), &key.key).unwrap()
    };
    for key in ["rsa-1", "rsa-2", "ec"] {
        bearer(&server, &named(key)).await.assert_ok();
    }
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("same".to_owned());
    let forged = encode(
        &header,
        &claims(),
        &EncodingKey::from_secret("x".repeat(40).as_bytes()),
    );
    bearer(&server, &forged.unwrap()).await.assert_err(401);
}

fn lies() -> Vec<(&'static str, Answer)> {
    let html = "<!doctype html><title>Sign in</title>";
    let big = format!("{{\"keys\": [], \"x\": \"{}\"}}", "x".repeat(300 * 1024));
    let keys = set(&["ec"]).to_string();
    vec![
        ("500", Answer::text("500 Internal Server Error", "", "no")),
        ("404", Answer::text("404 Not Found", "", &keys)),
        ("204", Answer::text("204 No Content", "", "")),
        (
            "a redirect",
            Answer::text("302 Found", "Location: /other\r\n", &keys),
        ),
        (
            "a page",
            Answer::text("200 OK", "Content-Type: text/html\r\n", html),
        ),
        ("a wrong type of JSON", Answer::text("200 OK", "", "[1, 2]")),
        ("a set without keys", Answer::Json(json!({"keys": []}))),
        (
            "secrets",
            Answer::Json(json!({"keys": [{"kty": "oct", "kid": "ec", "k": "AAAA"}]})),
        ),
        (
            "compressed",
            Answer::text("200 OK", "Content-Encoding: gzip\r\n", "\u{1f}gz"),
        ),
        ("a huge body", Answer::text("200 OK", "", &big)),
        ("no end", Answer::Endless),
        ("nothing", Answer::Silence),
        (
            "cut",
            Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"keys\"".to_vec()),
        ),
        ("no HTTP", Answer::Raw(b"SSH-2.0-x\r\n".to_vec())),
        ("closed", Answer::Raw(Vec::new())),
    ]
}

#[actix_rt::test]
async fn w12_an_issuer_that_fails_or_lies_lets_nobody_in_and_is_asked_again() {
    let token = Key::new("ec").token();
    let each = lies().into_iter().map(|(what, lie)| {
        let token = token.clone();
        async move {
            let issuer = Issuer::start(lie).await;
            let server = behind(auth(&issuer, |_| {}));
            let mut reply = bearer(&server, &token).await;
            reply.assert_err(503);
            assert_eq!(
                reply.body().await,
                br#"{"error":"auth_unavailable"}"#,
                "{what}"
            );
            // It is not asked by every request.
            for _ in 0..20 {
                bearer(&server, &token).await.assert_err(503);
            }
            assert!(issuer.asked() <= 3, "{what}: {}", issuer.asked());
            issuer.answers(Answer::keys(&["ec"]));
            becomes(&server, &token, 200).await;
            let keys = server.recording.keys.lock().unwrap().clone();
            assert!(
                keys[0].is_err() && *keys.last().unwrap() == Ok(1),
                "{what}: {keys:?}"
            );
        }
    });
    join_all(each).await;
}

#[actix_rt::test]
async fn w12_old_keys_are_used_while_the_issuer_fails_until_they_are_too_old() {
    let issuer = Issuer::start(Answer::keys(&["rsa-1"])).await;
    let server = behind(auth(&issuer, |auth| {
        let jwks = auth.jwks.as_mut().unwrap();
        jwks.max_age = Duration::from_secs(1);
        jwks.keep = Duration::from_secs(3);
    }));
    let old = Key::new("rsa-1").token();
    bearer(&server, &old).await.assert_ok();
    let since = Instant::now();
    issuer.answers(Answer::text("500 Internal Server Error", "", "no"));
    let failed = || {
        server
            .recording
            .keys
            .lock()
            .unwrap()
            .iter()
            .any(Result::is_err)
    };
    while !failed() {
        let reply = bearer(&server, &old).await;
        assert!(reply.status == 200 || since.elapsed() > Duration::from_secs(2));
        assert!(since.elapsed() < LIMIT);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // A key that is not known may be a new one: nobody can tell.
    bearer(&server, &Key::new("rsa-2").token())
        .await
        .assert_err(503);
    becomes(&server, &old, 503).await;
    assert!(
        since.elapsed() >= Duration::from_millis(2500),
        "{:?}",
        since.elapsed()
    );
    assert!(issuer.asked() <= 5, "{}", issuer.asked());
    issuer.answers(Answer::keys(&["rsa-1"]));
    becomes(&server, &old, 200).await;
}

#[actix_rt::test]
async fn w12_keys_in_a_file_are_read_at_the_start_and_again() {
    let issuer = Issuer::start(Answer::Silence).await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let write = |file: &mut tempfile::NamedTempFile, text: &str| {
        file.as_file().set_len(0).unwrap();
        std::io::Seek::rewind(file).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    let from_file = |path: &std::path::Path| {
        auth(&issuer, |auth| {
            let jwks = auth.jwks.as_mut().unwrap();
            (jwks.url, jwks.file) = (None, Some(path.to_owned()));
        })
    };
    for wrong in ["", "{\"keys\": []}", &" ".repeat(300 * 1024)] {
        write(&mut file, wrong);
        let error = Policy::builder()
            .auth(from_file(file.path()))
            .build()
            .unwrap_err();
        assert_eq!(error.faults().len(), 1, "{error}");
        assert_eq!(error.faults()[0].key, "auth.jwks.file");
    }
    let error = Policy::builder()
        .auth(from_file("/nowhere/keys.json".as_ref()))
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("/nowhere/keys.json"), "{error}");

    write(&mut file, &set(&["ed"]).to_string());
    let server = behind(from_file(file.path()));
    bearer(&server, &Key::new("ed").token()).await.assert_ok();
    write(&mut file, &set(&["ec"]).to_string());
    becomes(&server, &Key::new("ec").token(), 200).await;
    assert_eq!(issuer.asked(), 0);
}

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
