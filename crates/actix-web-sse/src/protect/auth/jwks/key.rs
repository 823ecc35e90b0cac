//! Public keys, as a set has them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;

use super::super::jwt::Jws;
use crate::config::JwtAlgorithm;

/// More than any issuer publishes; what comes after them is left out.
const MAX_KEYS: usize = 100;

/// How many keys of one name are tried: there should be one.
const MAX_SAME: usize = 4;

/// Bytes of an RSA modulus: 2048 to 8192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// The keys of a set that can be used.
#[derive(Debug)]
pub(super) struct Keys(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    public: PublicKey,
}

#[derive(Debug)]
enum PublicKey {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The uncompressed point.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

/// What is read of a key (RFC 7517 § 4, RFC 7518 § 6, RFC 8037 § 2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    /// Reads a set. Keys of other kinds and for other purposes are left out (RFC 7517 § 5), and with
    /// them whatever is secret.
    ///
    /// # Errors
    /// It is none, or has no key that can be used.
    pub(super) fn parse(text: &[u8], algorithms: &[JwtAlgorithm]) -> Result<Self, String> {
        let set: Set = serde_json::from_slice(text)
            .map_err(|_| "it is no set of keys: {\"keys\": […]} (RFC 7517)".to_owned())?;
        let keys = set.keys.into_iter().filter_map(|key| {
            let key = Key::of(serde_json::from_value(key).ok()?)?;
            algorithms.contains(&key.algorithm()).then_some(key)
        });
        let keys: Vec<_> = keys.take(MAX_KEYS).collect();
        if keys.is_empty() {
            let names: Vec<_> = algorithms.iter().map(|one| one.as_str()).collect();
            return Err(format!(
                "it has no public key for signatures with {}",
                names.join(", ")
            ));
        }
        Ok(Self(keys))
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the token was signed with one of these keys; `None` if it was signed with one that
    /// is not among them.
    pub(super) fn verify(&self, algorithm: JwtAlgorithm, jws: &Jws<'_>) -> Option<bool> {
        let mut fitting = self.0.iter().filter(|key| key.algorithm() == algorithm);
        let Some(id) = jws.key_id() else {
            // Which of several is meant is not to be found out by trying. Whether the only one was
            // replaced, only a look at the set can tell.
            let (Some(only), None) = (fitting.next(), fitting.next()) else {
                return None;
            };
            return only.verify(jws).then_some(true);
        };
        let mut named = fitting
            .filter(|key| key.id.as_deref() == Some(id))
            .take(MAX_SAME)
            .peekable();
        named.peek()?;
        Some(named.any(|key| key.verify(jws)))
    }
}

impl Key {
    fn of(jwk: Jwk) -> Option<Self> {
        let for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
            && jwk
                .key_ops
                .as_ref()
                .is_none_or(|operations| operations.iter().any(|one| one == "verify"));
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?).ok();
        let public = match (&*jwk.kty, jwk.crv.as_deref()) {
            ("RSA", _) => PublicKey::rsa(&bytes(&jwk.n)?, &bytes(&jwk.e)?)?,
            ("EC", Some("P-256")) => PublicKey::p256(&bytes(&jwk.x)?, &bytes(&jwk.y)?)?,
            ("OKP", Some("Ed25519")) => PublicKey::ed25519(bytes(&jwk.x)?)?,
            _ => return None,
        };
        let key = Self {
            id: jwk.kid,
            public,
        };
        let alg = jwk.alg.as_deref();
        let fits = alg.is_none_or(|alg| JwtAlgorithm::named(alg) == Some(key.algorithm()));
        (for_signatures && fits).then_some(key)
    }

    const fn algorithm(&self) -> JwtAlgorithm {
        match self.public {
            PublicKey::Rsa { .. } => JwtAlgorithm::Rs256,
            PublicKey::P256(_) => JwtAlgorithm::Es256,
            PublicKey::Ed25519(_) => JwtAlgorithm::EdDsa,
        }
    }

    fn verify(&self, jws: &Jws<'_>) -> bool {
        let (message, signature) = (jws.signed, &jws.signature);
        match &self.public {
            PublicKey::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
            PublicKey::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            PublicKey::Ed25519(key) => {
                UnparsedPublicKey::new(&ED25519, key).verify(message, signature)
            }
        }
        .is_ok()
    }
}

impl PublicKey {
    fn rsa(n: &[u8], e: &[u8]) -> Option<Self> {
        let significant = |bytes: &[u8]| -> Vec<u8> {
            bytes
                .iter()
                .copied()
                .skip_while(|byte| *byte == 0)
                .collect()
        };
        let (n, e) = (significant(n), significant(e));
        (MODULUS.contains(&n.len()) && (1..=8).contains(&e.len())).then_some(Self::Rsa { n, e })
    }

    fn p256(x: &[u8], y: &[u8]) -> Option<Self> {
        (x.len() == 32 && y.len() == 32).then(|| Self::P256([&[4], x, y].concat()))
    }

    fn ed25519(x: Vec<u8>) -> Option<Self> {
        (x.len() == 32).then_some(Self::Ed25519(x))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const ALL: [JwtAlgorithm; 3] = [
        JwtAlgorithm::Rs256,
        JwtAlgorithm::Es256,
        JwtAlgorithm::EdDsa,
    ];

    fn text(len: usize) -> String {
        URL_SAFE_NO_PAD.encode(vec![0xa5; len])
    }

    fn usable(key: &Value) -> Option<JwtAlgorithm> {
        let set = json!({ "keys": [key] }).to_string();
        let keys = Keys::parse(set.as_bytes(), &ALL).ok()?;
        keys.0.first().map(Key::algorithm)
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    #[test]
    fn w12_only_public_keys_for_signatures_are_used() {
        let rsa = json!({"kty": "RSA", "n": text(256), "e": "AQAB"});
        let ec = json!({"kty": "EC", "crv": "P-256", "x": text(32), "y": text(32)});
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": text(32)});
        for (key, algorithm) in [(&rsa, ALL[0]), (&ec, ALL[1]), (&ed, ALL[2])] {
            assert_eq!(usable(key), Some(algorithm));
            for fine in [
                with(key.clone(), "use", json!("sig")),
                with(key.clone(), "key_ops", json!(["verify"])),
                with(key.clone(), "alg", json!(algorithm.as_str())),
                with(key.clone(), "x5c", json!(["…"])),
                with(key.clone(), "kid", json!("")),
            ] {
                assert_eq!(usable(&fine), Some(algorithm), "{fine}");
            }
            for other in [
                with(key.clone(), "use", json!("enc")),
                with(key.clone(), "key_ops", json!(["encrypt"])),
                with(key.clone(), "alg", json!("RSA-OAEP")),
                with(key.clone(), "alg", json!("HS256")),
                with(key.clone(), "alg", json!("none")),
                with(key.clone(), "kid", json!(7)),
                with(key.clone(), "kty", json!("oct")),
                with(key.clone(), "kty", json!(null)),
            ] {
                assert_eq!(usable(&other), None, "{other}");
            }
        }
        for other in [
            json!({"kty": "oct", "k": text(32), "alg": "HS256"}),
            json!({"kty": "RSA", "n": text(128), "e": "AQAB"}),
            json!({"kty": "RSA", "n": text(2000), "e": "AQAB"}),
            json!({"kty": "RSA", "n": text(256)}),
            json!({"kty": "RSA", "n": "+/+/", "e": "AQAB"}),
            json!({"kty": "EC", "crv": "P-384", "x": text(48), "y": text(48)}),
            json!({"kty": "EC", "crv": "P-256", "x": text(31), "y": text(32)}),
            json!({"kty": "OKP", "crv": "X25519", "x": text(32)}),
            json!("key"),
            json!(null),
        ] {
            assert_eq!(usable(&other), None, "{other}");
        }
        // Leading zeros are not part of the number.
        let n = URL_SAFE_NO_PAD.encode([vec![0; 3], vec![0xa5; 256]].concat());
        assert!(usable(&json!({"kty": "RSA", "n": n, "e": "AAEAAQ"})).is_some());
        assert_eq!(usable(&with(ed, "alg", json!("Ed25519"))), Some(ALL[2]));
    }

    #[test]
    fn w12_a_set_without_a_key_is_none() {
        for text in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"keys": []}"#,
            r#"{"keys": {}}"#,
            r#"{"keys": [{"kty": "oct", "k": "AAAA"}]}"#,
            "<!doctype html><title>Sign in</title>",
        ] {
            assert!(Keys::parse(text.as_bytes(), &ALL).is_err(), "{text}");
        }
        let deep = format!("{{\"keys\": {}", "[".repeat(100_000));
        assert!(Keys::parse(deep.as_bytes(), &ALL).is_err());
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": text(32)});
        let set = json!({"keys": [ed.clone(), {"kty": "oct"}, 5]}).to_string();
        assert_eq!(Keys::parse(set.as_bytes(), &ALL).unwrap().len(), 1);
        assert!(Keys::parse(set.as_bytes(), &ALL[..1]).is_err());
        let many = json!({"keys": vec![ed; 5000]}).to_string();
        assert_eq!(Keys::parse(many.as_bytes(), &ALL).unwrap().len(), MAX_KEYS);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Keys::parse(&text, &ALL);
        }
    }
}
