//! Every dependency of a manifest is used: one of the workspace by a crate, one of a crate by its
//! sources.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use crate::tree::{files, root, walk};

fn manifest(path: &Path) -> Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

/// All manifests of the repository.
fn manifests() -> Vec<PathBuf> {
    let all = files(&root(), "toml").into_iter();
    all.filter(|path| path.ends_with("Cargo.toml")).collect()
}

fn table<'a>(value: &'a Table, key: &str) -> Option<&'a Table> {
    value.get(key).and_then(Value::as_table)
}

/// The names of a crate's dependencies of one kind, those of a target platform too.
fn dependencies<'a>(manifest: &'a Table, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let targets = table(manifest, "target").into_iter().flatten();
    let of_targets = targets.filter_map(|(_, target)| table(target.as_table()?, kind));
    let all = table(manifest, kind).into_iter().chain(of_targets);
    all.flatten()
        .map(|(name, value)| (&**name, value))
        .collect()
}

fn is_optional(dependency: &Value) -> bool {
    dependency.get("optional").and_then(Value::as_bool) == Some(true)
}

/// The Rust sources under a folder, without those of crates within it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(folder, &mut |path| {
        if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path.to_owned());
        }
        !path.join("Cargo.toml").exists()
    });
    found
}

/// The folders of a crate's library and programs.
fn library_and_programs(folder: &Path, manifest: &Table) -> BTreeSet<PathBuf> {
    let programs = manifest.get("bin").and_then(Value::as_array);
    let programs = programs.into_iter().flatten().filter_map(Value::as_table);
    let targets = programs.chain(table(manifest, "lib"));
    let paths = targets.filter_map(|target| target.get("path")?.as_str());
    let folders = paths.filter_map(|path| Some(folder.join(path).parent()?.to_owned()));
    folders.chain([folder.join("src")]).collect()
}

/// Whether code, comments aside, contains this name as a whole word.
fn names(code: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let code = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(|c| !is_part(c)))
        .any(|word| word == name)
}

/// The dependencies of a crate that its sources do not name.
fn unused(path: &Path) -> Vec<String> {
    let manifest = manifest(path);
    let folder = path.parent().unwrap();
    let read = |paths: Vec<PathBuf>| {
        let texts = paths.iter().map(|path| fs::read_to_string(path).unwrap());
        texts.collect::<Vec<_>>()
    };
    let own = library_and_programs(folder, &manifest);
    let own = own.iter().filter(|folder| folder.is_dir());
    let own = read(own.flat_map(|folder| sources(folder)).collect());
    let all = read(sources(folder));
    let mut unused = Vec::new();
    for (kind, sources) in [("dependencies", &own), ("dev-dependencies", &all)] {
        for (name, value) in dependencies(&manifest, kind) {
            // Tests use optional ones too: a development dependency cannot be optional.
            let sources = if is_optional(value) { &all } else { sources };
            let word = name.replace('-', "_");
            if !sources.iter().any(|source| names(source, &word)) {
                unused.push(format!("{}: {kind}: {name}", path.display()));
            }
        }
    }
    unused
}

#[test]
fn every_dependency_of_a_crate_occurs_in_its_sources() {
    let manifests = manifests();
    assert!(manifests.len() > 6, "{manifests:?}");
    let unused: Vec<_> = manifests.iter().flat_map(|path| unused(path)).collect();
    assert!(unused.is_empty(), "{}", unused.join("\n"));
}

#[test]
fn every_dependency_of_the_workspace_is_one_of_a_crate() {
    let workspace = manifest(&root().join("Cargo.toml"));
    let listed = table(&workspace, "workspace").and_then(|all| table(all, "dependencies"));
    let listed: BTreeSet<&str> = listed.unwrap().keys().map(String::as_str).collect();
    let crates: Vec<_> = manifests().iter().map(|path| manifest(path)).collect();
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let used = crates.iter().flat_map(|manifest| {
        let all = kinds.iter().flat_map(|kind| dependencies(manifest, kind));
        all.filter(|(_, value)| value.get("workspace").is_some())
    });
    let used: BTreeSet<&str> = used.map(|(name, _)| name).collect();
    let unused: Vec<_> = listed.difference(&used).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn an_unused_dependency_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "Cargo.toml",
        "[dependencies]\nused-one = \"1\"\nother = \"1\"\n[dev-dependencies]\ntesting = \"1\"\n\
         [target.'cfg(unix)'.dependencies]\nunix = \"1\"\n",
    );
    write("src/lib.rs", "// other\nuse used_one::X;\nmod others;\n");
    write("tests/a.rs", "use testing::X; use unix::X; use other::X;\n");
    write("inner/Cargo.toml", "[dependencies]\n");
    write("inner/src/lib.rs", "use testing::X;\n");
    let unused = unused(&folder.path().join("Cargo.toml")).join("\n");
    let names = |name: &str| unused.contains(&format!("dependencies: {name}"));
    assert!(names("other") && names("unix"), "{unused}");
    assert!(!names("used-one") && !names("testing"), "{unused}");
}
