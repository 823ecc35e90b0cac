//! The reference page explains each check and each option.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail loudly"
)]

use std::{fs, path::Path};

#[test]
fn every_link_that_a_finding_prints_leads_to_a_section() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/sse-probe.md");
    let page = fs::read_to_string(page).unwrap();
    let checks = sse_probe::checks::CHECKS.iter().map(|check| check.link());
    let kinds = sse_probe::compare::Kind::ALL.iter().map(|kind| kind.link());
    let mut count = 0;
    for link in checks.chain(kinds) {
        let (file, anchor) = link.split_once('#').unwrap();
        assert_eq!(file, "docs/src/sse-probe.md");
        assert!(page.contains(&format!("\n### {anchor}\n")), "{link}");
        count += 1;
    }
    assert_eq!(
        page.matches("\n### ").count(),
        count,
        "no section without a check"
    );
}

#[test]
fn every_option_of_a_module_is_in_the_reference() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/sse-probe.md");
    let page = fs::read_to_string(page).unwrap();
    let error = toml::from_str::<sse_probe::options::Options>("no_such_option = 1").unwrap_err();
    let text = error.to_string();
    let names = text.split("expected one of ").nth(1).unwrap();
    for option in names.split('`').skip(1).step_by(2) {
        // Kept to say what to write instead, and an older spelling.
        if !matches!(option, "hosts" | "ca_file") {
            assert!(page.contains(option), "`{option}` is not in the reference");
        }
    }
}
