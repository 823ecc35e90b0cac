//! Hosted CI runs what `tests/run` has, and updates are looked for everywhere.

use std::{collections::BTreeSet, fs};

use serde_yaml_ng::Value;

use crate::tree::{files, root};

fn yaml(path: &str) -> Value {
    serde_yaml_ng::from_str(&fs::read_to_string(root().join(path)).unwrap()).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    let all = value.as_sequence().unwrap().iter();
    all.map(|value| value.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_workflow_has_the_steps_of_the_suite_in_their_order() {
    let script = fs::read_to_string(root().join("tests/run")).unwrap();
    let (_, rest) = script.split_once("readonly ALL_STEPS=(").unwrap();
    let steps: Vec<&str> = rest.split(')').next().unwrap().split_whitespace().collect();
    let workflow = yaml(".github/workflows/tests.yml");
    let job = &workflow["jobs"]["step"];
    assert_eq!(strings(&job["strategy"]["matrix"]["step"]), steps);
    let runs = job["steps"].as_sequence().unwrap().iter();
    let run = runs
        .filter_map(|step| step["run"].as_str())
        .next_back()
        .unwrap();
    assert_eq!(run, "tests/run ${{ matrix.step }}");
}

#[test]
fn the_workflow_has_the_compilers_of_the_repository() {
    let workflow = yaml(".github/workflows/tests.yml");
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let pinned = read("rust-toolchain.toml");
    let image = workflow["jobs"]["step"]["container"]["image"]
        .as_str()
        .unwrap();
    let version = image.split([':', '-']).nth(1).unwrap();
    assert!(
        pinned.contains(&format!("channel = \"{version}.")),
        "{image}"
    );
    let manifest = read("Cargo.toml");
    let image = workflow["jobs"]["minimum"]["container"].as_str().unwrap();
    let version = image.split([':', '-']).nth(1).unwrap();
    assert!(
        manifest.contains(&format!("rust-version = \"{version}\"")),
        "{image}"
    );
}

#[test]
fn updates_are_looked_for_beside_every_lock_file() {
    let updates = yaml(".github/dependabot.yml");
    let mut asked = BTreeSet::new();
    for update in updates["updates"].as_sequence().unwrap() {
        let kind = update["package-ecosystem"].as_str().unwrap();
        if !update["directories"].is_null() {
            asked.extend(
                strings(&update["directories"])
                    .into_iter()
                    .map(|folder| (kind.to_owned(), folder)),
            );
        }
    }
    let mut locked = BTreeSet::new();
    for (kind, ending, file) in [
        ("cargo", "lock", "Cargo.lock"),
        ("npm", "json", "package-lock.json"),
        ("pip", "txt", "requirements.txt"),
    ] {
        for path in files(&root(), ending)
            .iter()
            .filter(|path| path.ends_with(file))
        {
            let folder = path.parent().unwrap().strip_prefix(root()).unwrap();
            locked.insert((kind.to_owned(), format!("/{}", folder.display())));
        }
    }
    assert_eq!(asked, locked);
}
