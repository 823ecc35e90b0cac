//! A certificate that nobody signed.

use std::{fs, path::Path};

/// Writes a certificate for these names into a folder, as programs want it: `cert.pem`, `key.pem`, and
/// `both.pem` with one after the other. Returns it in DER, for a client that trusts it.
///
/// # Panics
/// If it cannot be made or written.
#[must_use]
pub fn write_certificate(folder: &Path, names: &[&str]) -> Vec<u8> {
    let key = rcgen::KeyPair::generate().expect("a key");
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = rcgen::CertificateParams::new(names)
        .and_then(|params| params.self_signed(&key))
        .expect("a certificate");
    let (cert, key) = (certificate.pem(), key.serialize_pem());
    for (file, text) in [
        ("both.pem", format!("{cert}{key}")),
        ("cert.pem", cert),
        ("key.pem", key),
    ] {
        fs::write(folder.join(file), text).expect("it is written");
    }
    certificate.der().to_vec()
}
