//! The programs below `tests/clients`.

use std::{path::Path, process::Command};

/// A client program, to be run with arguments.
pub(crate) fn program(name: &str) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    let script = folder.join(name);
    let mut command;
    if name.ends_with(".py") {
        command = Command::new("python3");
        let packages = folder.join("site-packages");
        must_be_installed(&packages);
        // Without bytecode: the test leaves nothing in the tree.
        command
            .env("PYTHONPATH", packages)
            .env("PYTHONDONTWRITEBYTECODE", "1");
    } else {
        command = Command::new("node");
        must_be_installed(&folder.join("node_modules"));
    }
    command.arg(script);
    command
}

#[track_caller]
fn must_be_installed(packages: &Path) {
    assert!(
        packages.is_dir(),
        "{} is missing; `tests/run` installs it",
        packages.display()
    );
}
