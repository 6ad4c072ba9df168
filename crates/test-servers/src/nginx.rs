//! nginx, which serves files and does nothing else.

use std::{fs, path::Path};

use crate::{clouds::process, guard::Guard};

/// A running server of the files of a folder.
pub struct Nginx {
    port: u16,
    _guard: Guard,
}

impl Nginx {
    /// Serves what is in `files`, as JSON.
    pub fn serve(files: &Path) -> Self {
        let (port, guard) =
            process::start("nginx", "start worker process", "Address already in use", |folder, port| {
                let settings = folder.join("nginx.conf");
                fs::write(&settings, settings_of(files, folder, port)).unwrap();
                let program = ["/usr/sbin/nginx", "-e", "stderr", "-c", settings.to_str().unwrap()];
                program.map(str::to_owned).into_iter().collect()
            });
        Self { port, _guard: guard }
    }

    /// Where the files are.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// One worker, no log of accesses, and nothing outside `folder`. A worker that root starts is root too: the files may be its own.
fn settings_of(files: &Path, folder: &Path, port: u16) -> String {
    let user = if crate::roundup::we_are_root() { "user root;" } else { "" };
    let kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {}/{name};", folder.display()))
        .join(" ");
    format!(
        "{user} daemon off; worker_processes 1; pid {}/pid; error_log stderr notice;
         events {{ worker_connections 64; }}
         http {{ access_log off; default_type application/json; keepalive_requests 1000000; sendfile on; {kept}
           server {{ listen 127.0.0.1:{port}; root {}; }} }}",
        folder.display(),
        files.display()
    )
}
