//! Whoever builds on these crates takes on no licence that asks for more than a notice.

use std::{fs, process::Command};

use serde::Deserialize;
use spdx::{Expression, ParseMode};

use crate::tree::root;

/// They ask for a notice at the most. Of a choice, one that stands here is enough.
const PERMISSIVE: [&str; 9] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
}

/// What is wrong with a licence, if anything is.
fn objection(license: Option<&str>) -> Option<String> {
    let Some(text) = license else {
        return Some("names no licence".to_owned());
    };
    let lax = ParseMode {
        allow_slash_as_or_operator: true,
        ..ParseMode::STRICT
    };
    match Expression::parse_mode(text, lax) {
        Err(error) => Some(format!("{text}: {error}")),
        Ok(expression) => expression
            .evaluate_with_failures(|asked| {
                let id = asked.license.id();
                id.is_some_and(|id| PERMISSIVE.contains(&id.name))
            })
            .err()
            .map(|failures| {
                let asked = failures.iter().map(|failure| failure.req.to_string());
                format!("{text}: {}", asked.collect::<Vec<_>>().join(", "))
            }),
    }
}

#[test]
fn every_dependency_may_be_used_for_a_notice() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version=1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    assert!(metadata.packages.len() > 100);
    let objections = metadata.packages.iter().filter_map(|package| {
        let objection = objection(package.license.as_deref())?;
        Some(format!("{} {}: {objection}", package.name, package.version))
    });
    let objections = objections.collect::<Vec<_>>();
    assert!(objections.is_empty(), "{}", objections.join("\n"));
}

/// What is published, whether npm or cargo packs it: npm takes no symbolic link.
#[test]
fn every_published_folder_has_the_licence_files() {
    for folder in [
        "clients",
        "crates/actix-web-sse",
        "crates/actix-web-sse-metrics",
        "crates/actix-web-sse-redis",
        "crates/sse-probe",
    ] {
        for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let path = root().join(folder).join(name);
            let text = fs::read(&path).unwrap_or_default();
            assert_eq!(
                text,
                fs::read(root().join(name)).unwrap(),
                "{folder}/{name} is that of the repository"
            );
            if folder == "clients" {
                assert!(!path.is_symlink(), "{folder}/{name}");
            }
        }
    }
}

#[test]
fn a_licence_that_asks_for_more_is_named() {
    for fine in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0-only OR MIT",
        "MIT AND Unicode-3.0",
    ] {
        assert_eq!(objection(Some(fine)), None, "{fine}");
    }
    for (licence, named) in [
        (Some("GPL-3.0-only"), "GPL-3.0-only"),
        (Some("MIT AND AGPL-3.0-only"), "AGPL-3.0-only"),
        (Some("whatever you like"), "whatever"),
        (None, "no licence"),
    ] {
        let objection = objection(licence).expect("an objection");
        assert!(objection.contains(named), "{objection}");
    }
}
