//! docs/src/clients.md says which clients the suite runs against: what the lock files say.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use toml::Table;

use crate::tree::root;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap()
}

/// Client, version and origin of each row.
fn listed() -> BTreeSet<[String; 3]> {
    let text = read("docs/src/clients.md");
    let (_, table) = text
        .split_once("## Clients that the suite runs against")
        .unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let cells = rows.map(|row| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().to_owned());
        std::array::from_fn(|_| cells.next().unwrap())
    });
    cells.collect()
}

fn row(name: &str, version: &str, from: &str) -> [String; 3] {
    [name, version, from].map(str::to_owned)
}

/// What a package asks npm for, with the versions of its lock file.
fn npm(folder: &str, from: &str) -> Vec<[String; 3]> {
    let manifest = json(&format!("{folder}/package.json"));
    let lock = json(&format!("{folder}/package-lock.json"));
    let names = manifest["dependencies"].as_object().unwrap().keys();
    let rows = names.map(|name| {
        let version = &lock["packages"][format!("node_modules/{name}")]["version"];
        row(name, version.as_str().unwrap(), from)
    });
    rows.collect()
}

/// The package that is asked for, by its version; the others are what it stands on.
fn pypi(name: &str) -> [String; 3] {
    let lock = read("tests/clients/requirements.txt");
    let line = lock.lines().find_map(|line| line.strip_prefix(name));
    let version = line.unwrap().trim_start_matches("==");
    row(name, version.split(' ').next().unwrap(), "PyPI")
}

fn crates() -> Vec<[String; 3]> {
    let lock: Table = read("Cargo.lock").parse().unwrap();
    let packages = lock["package"].as_array().unwrap().iter();
    let text = |package: &Value, key: &str| package[key].as_str().unwrap().to_owned();
    let packages: Vec<Value> = packages
        .map(|package| serde_json::to_value(package).unwrap())
        .collect();
    let clients = packages
        .iter()
        .filter(|package| text(package, "name").contains("eventsource"));
    clients
        .map(|package| {
            row(
                &text(package, "name"),
                &text(package, "version"),
                "crates.io",
            )
        })
        .collect()
}

#[test]
fn the_listed_clients_are_those_of_the_lock_files() {
    let own = json("clients/package.json");
    let own = row(
        own["name"].as_str().unwrap(),
        own["version"].as_str().unwrap(),
        "clients",
    );
    let mut locked: BTreeSet<_> = npm("tests/clients", "npm").into_iter().collect();
    locked.extend(npm("clients", "clients"));
    locked.extend(crates());
    locked.extend([own, pypi("httpx-sse")]);
    let browsers = ["Chromium", "Firefox ESR"].map(|name| row(name, "Debian's", "Debian"));
    locked.extend(browsers);
    let listed = listed();
    let missing: Vec<_> = locked.difference(&listed).collect();
    let wrong: Vec<_> = listed.difference(&locked).collect();
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "docs/src/clients.md lacks {missing:?}, and has {wrong:?}"
    );
}
