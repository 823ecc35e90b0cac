//! The house: a room imports only rooms below it, and each check is explained in the reference page.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests fail loudly"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// From the lowest floor up; rooms on one line do not know each other.
const FLOORS: [&[&str]; 13] = [
    &["named"],
    &["browser"],
    &["stream"],
    &["http"],
    &["target"],
    &["observe"],
    &["checks"],
    &["report"],
    &["compare"],
    &["assertions", "tail", "options"],
    &["closes"],
    &["exporter"],
    &["cli"],
];

fn files(folder: &Path, list: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, list);
        } else if path.extension().is_some_and(|e| e == "rs") {
            list.push(path);
        }
    }
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// The rooms that `crate::…` paths in the text lead to, written out or in braces.
fn rooms_of(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("crate::") {
        rest = &rest[at + "crate::".len()..];
        let Some(list) = rest.strip_prefix('{') else {
            rooms.push(name(rest));
            continue;
        };
        let mut depth = 0;
        let mut begins = true;
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && c.is_alphabetic() => {
                    rooms.push(name(&list[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    rooms
}

fn name(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn a_room_imports_only_rooms_below_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut list = Vec::new();
    files(&source, &mut list);
    assert!(list.len() > 30, "the sources are there");
    let mut wrong = Vec::new();
    for file in list {
        let inside = file.strip_prefix(&source).unwrap();
        let first = inside.components().next().unwrap().as_os_str();
        let own = first.to_str().unwrap().trim_end_matches(".rs");
        if matches!(own, "lib" | "main") {
            continue;
        }
        let own_floor = floor(own).unwrap_or_else(|| panic!("`{own}` has no floor"));
        let text = fs::read_to_string(&file).unwrap();
        let code: String = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n");
        for room in rooms_of(&code) {
            // The crate's own functions stand above all rooms.
            let below = floor(&room).is_some_and(|floor| floor < own_floor || room == own);
            if !below {
                wrong.push(format!("{}: crate::{room}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn paths_are_read_in_every_form() {
    let text = "use crate::{\n  a::{b, c},\n  d,\n};\nfn x() { crate::e::f() }";
    assert_eq!(rooms_of(text), ["a", "d", "e"]);
}

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
