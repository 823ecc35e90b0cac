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

/// Calls `enter` for each file and folder under a folder; false keeps out of that folder. What git
/// ignores, and hidden files, are left out.
pub(crate) fn walk(folder: &Path, enter: &mut dyn FnMut(&Path) -> bool) {
    walk_but(folder, &Ignored::of(&root()), enter);
}

fn walk_but(folder: &Path, ignored: &Ignored, enter: &mut dyn FnMut(&Path) -> bool) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !ignored.has(&path) && enter(&path) && path.is_dir() {
            walk_but(&path, ignored, enter);
        }
    }
}

/// What `.gitignore` names: what tools install or build in the tree.
struct Ignored {
    names: Vec<String>,
    paths: Vec<PathBuf>,
}

impl Ignored {
    /// Reads the two forms that this repository uses: `name/` anywhere, and `/path/from/the/top`.
    fn of(root: &Path) -> Self {
        let text = fs::read_to_string(root.join(".gitignore")).unwrap();
        let lines = text.lines().map(str::trim);
        let (paths, names) = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| line.trim_end_matches('/'))
            .partition::<Vec<_>, _>(|line| line.contains('/'));
        Self {
            names: names.into_iter().map(str::to_owned).collect(),
            paths: paths
                .into_iter()
                .map(|path| root.join(path.trim_start_matches('/')))
                .collect(),
        }
    }

    fn has(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with('.')
            || self.names.iter().any(|ignored| *ignored == name)
            || self.paths.iter().any(|ignored| ignored == path)
    }
}

#[test]
fn what_git_ignores_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for made in [
        "target",
        "node_modules",
        "a/node_modules",
        "a/made",
        "b/made",
    ] {
        fs::create_dir_all(root.join(made)).unwrap();
        fs::write(root.join(made).join("x.md"), "").unwrap();
    }
    fs::write(
        root.join(".gitignore"),
        "# made\n/target\nnode_modules/\n/a/made/\n",
    )
    .unwrap();
    let mut found = Vec::new();
    walk_but(root, &Ignored::of(root), &mut |path| {
        found.push(path.strip_prefix(root).unwrap().to_owned());
        true
    });
    found.sort();
    assert_eq!(
        found,
        ["a", "b", "b/made", "b/made/x.md"].map(PathBuf::from)
    );
}
