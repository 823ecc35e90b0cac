//! The files of the repository.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The top folder of the repository.
pub(crate) fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_owned()
}

/// The files with this ending under a folder, without what tools install or build there.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(folder, &mut |path| {
        if path.extension().is_some_and(|own| own == ending) {
            found.push(path.to_owned());
        }
        true
    });
    found.sort();
    found
}

/// Calls `enter` for each file and folder under a folder; false keeps out of that folder.
pub(crate) fn walk(folder: &Path, enter: &mut dyn FnMut(&Path) -> bool) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_made = ["target", "node_modules"].contains(&&*name) || name.starts_with('.');
        if !is_made && enter(&path) && path.is_dir() {
            walk(&path, enter);
        }
    }
}
