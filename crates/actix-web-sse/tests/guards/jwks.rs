//! Tokens signed with the published keys of an issuer that rotates them, fails and lies.

use std::{io::Write, time::Duration};

use actix_web_sse::Policy;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    issuer::{Answer, ISSUER, Issuer, Key, auth, bearer, becomes, behind, claims, now, set},
    support::{LIMIT, refusal, wait_until},
};

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
            let since = Instant::now();
            let server = behind(auth(&issuer, |auth| {
                // Some of them say nothing, or no end.
                auth.jwks.as_mut().unwrap().timeout = Duration::from_secs(1);
            }));
            let mut reply = bearer(&server, &token).await;
            reply.assert_err(503);
            assert_eq!(reply.body().await, refusal("auth_unavailable"), "{what}");
            // It is not asked by every request.
            for _ in 0..20 {
                bearer(&server, &token).await.assert_err(503);
            }
            // Once a second at the most.
            let most = 2 + since.elapsed().as_secs() as usize;
            assert!(issuer.asked() <= most, "{what}: {}", issuer.asked());
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
    let since = Instant::now();
    let server = behind(auth(&issuer, |auth| {
        let jwks = auth.jwks.as_mut().unwrap();
        jwks.max_age = Duration::from_secs(1);
        jwks.keep = Duration::from_secs(3);
    }));
    let old = Key::new("rsa-1").token();
    bearer(&server, &old).await.assert_ok();
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
    let most = 2 + since.elapsed().as_secs() as usize;
    assert!(issuer.asked() <= most, "{}", issuer.asked());
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
