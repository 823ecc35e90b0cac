//! An issuer of tokens, with keys for these tests alone (`keys/`), that answers as it is told.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web_sse::config::AuthConfig;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::support::{APP, LIMIT, Recording, Reply, Server, reference, streams};

pub const ISSUER: &str = "https://login.example.com/realms/shop";

/// A key of an issuer.
pub struct Key {
    id: &'static str,
    pub algorithm: Algorithm,
    pub key: EncodingKey,
}

impl Key {
    pub fn new(id: &str) -> Self {
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
    pub fn published(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.to_owned());
        encode(&header, claims, &self.key).unwrap()
    }

    pub fn token(&self) -> String {
        self.sign(&claims())
    }
}

pub fn set(keys: &[&str]) -> Value {
    let keys: Vec<_> = keys.iter().map(|id| Key::new(id).published()).collect();
    json!({ "keys": keys })
}

pub fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

pub fn claims() -> Value {
    json!({"sub": "ada", "exp": now() + 600, "iat": now(), "iss": ISSUER, "aud": ["streams", "other"]})
}

/// What the issuer answers.
#[derive(Clone)]
pub enum Answer {
    Json(Value),
    /// Whatever this is, as it is; then the connection ends.
    Raw(Vec<u8>),
    /// A head, and bytes without end.
    Endless,
    /// Nothing.
    Silence,
}

impl Answer {
    pub fn keys(keys: &[&str]) -> Self {
        Self::Json(set(keys))
    }

    pub fn text(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n");
        Self::Raw(format!("{head}{body}").into_bytes())
    }
}

pub struct Issuer {
    pub(crate) address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    pub async fn start(answer: Answer) -> Self {
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

    pub fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub fn asked(&self) -> usize {
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

pub fn auth(issuer: &Issuer, change: impl FnOnce(&mut AuthConfig)) -> AuthConfig {
    let text = format!(
        r#"
        required = true
        timeout = "5s"
        jwt_issuer = ["{ISSUER}"]
        jwt_audience = ["streams"]

        [jwks]
        url = "http://{}/keys?v=1"
        timeout = "4s"
        refetch_pause = "1s"
        "#,
        issuer.address
    );
    let mut auth = toml::from_str(&text).unwrap();
    change(&mut auth);
    auth
}

pub fn behind(auth: AuthConfig) -> Server {
    let recording: Arc<Recording> = Arc::default();
    let policy = reference(&recording).auth(auth).build().unwrap();
    Server::start(&recording, streams(policy))
}

pub async fn bearer(server: &Server, token: &str) -> Reply {
    let lines = format!("Origin: {APP}\r\nAuthorization: Bearer {token}\r\n");
    server.get(&lines).await
}

/// Asks until the answer is this one.
pub async fn becomes(server: &Server, token: &str, status: u16) {
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
