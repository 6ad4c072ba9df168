//! Radicale, a server of address books and calendars: WebDAV with sync-collection (RFC 6578), tombstones and tokens that expire.

use std::{fs, path::PathBuf};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    Response,
    clouds::{process, tools::tool},
    guard::Guard,
    http,
};

const USER: &str = "anna";
const BOOK: &str = "<create xmlns=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:carddav\"><set><prop><resourcetype><collection/>\
                    <C:addressbook/></resourcetype></prop></set></create>";

/// A running server with an address book, which is empty at first.
pub struct Radicale {
    port: u16,
    folder: PathBuf,
    _guard: Guard,
}

impl Radicale {
    /// Starts one.
    pub fn start() -> Self {
        let mut place = PathBuf::new();
        let (port, guard) = process::start(
            "radicale",
            "Radicale server ready",
            "already in use",
            |folder, port| {
                let (config, data) = (folder.join("config"), folder.join("data"));
                let text = format!(
                    "[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = none\n[storage]\nfilesystem_folder = {}\n",
                    data.display()
                );
                fs::write(&config, text).unwrap();
                place = data;
                let path = format!("PYTHONPATH={}", tool("radicale").display());
                let words = [
                    "env",
                    &path,
                    "PYTHONDONTWRITEBYTECODE=1",
                    "python3",
                    "-u",
                    "-m",
                    "radicale",
                    "--config",
                ];
                words.into_iter().map(str::to_owned).chain([config.display().to_string()]).collect()
            },
        );
        let server = Self { port, folder: place, _guard: guard };
        server.succeeds("MKCOL", "", BOOK);
        server
    }

    /// Where clients come in.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The address book's path there.
    pub fn book(&self) -> String {
        format!("/{USER}/book/")
    }

    /// Who may come in: a user, with any password.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// Makes or changes an entry.
    pub fn put(&self, entry: &str, name: &str) {
        let card = format!(
            "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{entry}\r\nN:;{name};;;\r\nFN:{name}\r\nEND:VCARD\r\n"
        );
        self.succeeds("PUT", &format!("{entry}.vcf"), &card);
    }

    /// Removes an entry.
    pub fn remove(&self, entry: &str) {
        self.succeeds("DELETE", &format!("{entry}.vcf"), "");
    }

    /// Has the server forget all tokens that it has given out.
    pub fn forget(&self) {
        let book = self.folder.join("collection-root").join(USER).join("book");
        fs::remove_dir_all(book.join(".Radicale.cache/sync-token")).unwrap();
    }

    fn succeeds(&self, method: &str, entry: &str, body: &str) {
        let answer = self.send(method, entry, body);
        let said = String::from_utf8_lossy(&answer.bytes);
        assert!((200..300).contains(&answer.status), "{method} {entry}: {said}");
    }

    fn send(&self, method: &str, entry: &str, body: &str) -> Response {
        let login = format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:any")));
        let kind = if method == "PUT" { "text/vcard" } else { "application/xml" };
        let headers = [("authorization", login.as_str()), ("content-type", kind)];
        let target = format!("{}{entry}", self.book());
        http::send_as(self.port, self.port, method, &target, &headers, body.as_bytes())
    }
}
