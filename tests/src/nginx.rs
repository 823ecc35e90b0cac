//! A real nginx in front of a server.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use tempfile::TempDir;

use crate::{Connection, LIMIT, Process, free_port, port::local, until};

/// An nginx with a configuration of its own, in a folder of its own.
#[derive(Debug)]
pub struct Nginx {
    address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl Nginx {
    /// Starts one whose `http` section is this; `{listen}` in it stands for the address.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(http: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = local(free_port());
        let path = folder.path().join("nginx.conf");
        let http = http.replace("{listen}", &address.to_string());
        fs::write(&path, configuration(folder.path(), &http))
            .expect("its configuration is written");
        let mut process = Process::spawn(
            Command::new("nginx")
                .arg("-p")
                .arg(folder.path())
                .arg("-c")
                .arg(&path)
                .args(["-e", "stderr"]),
        );
        until("nginx listens", LIMIT, || {
            assert!(process.is_running(), "nginx ended: {:#?}", process.lines());
            Connection::try_open(address).ok()
        });
        Self {
            address,
            _process: process,
            _folder: folder,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// One process in the foreground: killing it leaves no worker behind.
fn configuration(folder: &Path, http: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr;\n\
         events {{ worker_connections 512; }}\n\
         http {{\n  access_log off;\n  client_body_temp_path {folder}/body;\n  \
         proxy_temp_path {folder}/proxy;\n  fastcgi_temp_path {folder}/fastcgi;\n  \
         uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n{http}\n}}\n"
    )
}
