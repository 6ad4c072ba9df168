//! Roundup, an issue tracker with a REST interface: numbered pages linked by the answers, entity tags.

use std::{fs, os::unix::fs::MetadataExt, path::Path, process::Command};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    Front, Response,
    clouds::{process, tools::tool},
    guard::Guard,
    http,
};

/// The class that the tests fill, beside the users that every tracker has.
const CLASS: &str = r#"
item = Class(db, "item", title=String(), serial=Integer(), price=String(), note=String())
item.setlabelprop("title")
"#;
/// Makes so many items in the tracker at a place.
const FILL: &str = r#"
import sys
from roundup import instance
database = instance.open(sys.argv[1]).open("admin")
for n in range(1, int(sys.argv[2]) + 1):
    database.item.create(title=f"item {n}", serial=2**53 + n, price=f"{n}.{n % 100:02}")
database.commit()
"#;
const PASSWORD: &str = "tide mark";

/// A running tracker and a front before it, which its links lead through.
pub struct Roundup {
    front: Front,
    port: u16,
    _guard: Guard,
}

impl Roundup {
    /// Starts one with so many items.
    pub fn start(items: u64) -> Self {
        let mut front = None;
        let (port, guard) = process::start("roundup", "Roundup server started", "in use", |folder, port| {
            let before = Front::before(port);
            set_up(folder, before.port(), items);
            front = Some(before);
            let tracker = format!("tracker={}", folder.join("tracker").display());
            let port = port.to_string();
            // It is root only where it is told so. Anybody else may not see its files.
            let user: &[&str] = if we_are_root() { &["-u", "root"] } else { &[] };
            let serve = ["-n", "127.0.0.1", "-p", &port, "-t", "fork", &tracker];
            let words =
                ["env", &python_path(), "PYTHONDONTWRITEBYTECODE=1", "python3", "-u"].map(str::to_owned);
            let program = tool("roundup/bin/roundup-server").display().to_string();
            let options = user.iter().chain(&serve).map(|word| (*word).to_owned());
            words.into_iter().chain([program]).chain(options).collect()
        });
        Self { front: front.unwrap(), port, _guard: guard }
    }

    /// Where clients come in, through the front.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/tracker/rest/data", self.front.port())
    }

    /// What stands before it.
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// Who may come in: a user and a password.
    pub fn login(&self) -> (&'static str, &'static str) {
        ("admin", PASSWORD)
    }

    /// The JSON at `target`, such as `item?@fields=title`.
    pub fn read(&self, target: &str) -> String {
        http::body(&self.send("GET", target, &[], ""))
    }

    /// Makes an item.
    pub fn create(&self, item: &str) {
        self.succeeds("POST", "item", &[], item);
    }

    /// Changes an item as it is now, by its entity tag.
    pub fn change(&self, id: u64, attributes: &str) {
        let (target, tag) = (format!("item/{id}"), self.tag(id));
        self.succeeds("PATCH", &target, &[("if-match", &tag)], attributes);
    }

    /// Takes an item out of sight, by its entity tag.
    pub fn retire(&self, id: u64) {
        let (target, tag) = (format!("item/{id}"), self.tag(id));
        self.succeeds("DELETE", &target, &[("if-match", &tag)], "");
    }

    fn tag(&self, id: u64) -> String {
        let answer = self.send("GET", &format!("item/{id}"), &[], "");
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        text.lines()
            .find_map(|line| line.strip_prefix("ETag: "))
            .expect("an item has a tag")
            .trim()
            .to_owned()
    }

    fn succeeds(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) {
        let answer = self.send(method, target, headers, body);
        let said = String::from_utf8_lossy(&answer.bytes);
        assert!((200..300).contains(&answer.status), "{method} {target}: {said}");
    }

    fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let login = format!("Basic {}", BASE64_STANDARD.encode(format!("admin:{PASSWORD}")));
        // What a script of another site cannot send is no request of one.
        let origin = format!("http://127.0.0.1:{}", self.front.port());
        let own = [
            ("authorization", login.as_str()),
            ("x-requested-with", "rest"),
            ("origin", &origin),
            ("referer", &format!("{origin}/tracker/")),
            ("content-type", "application/json"),
        ];
        let target = format!("/tracker/rest/data/{target}");
        http::send_as(
            self.front.port(),
            self.port,
            method,
            &target,
            &[&own[..], headers].concat(),
            body.as_bytes(),
        )
    }
}

fn set_up(folder: &Path, front: u16, items: u64) {
    let tracker = folder.join("tracker");
    let tracker = tracker.to_str().unwrap();
    let admin = tool("roundup/bin/roundup-admin").display().to_string();
    python(&[&admin, "-i", tracker, "install", "minimal", "sqlite"]);
    replace(&folder.join("tracker/config.ini"), |text| {
        let own = [
            ("#web =", format!("web = http://127.0.0.1:{front}/tracker/")),
            ("#domain =", "domain = localhost".into()),
            ("#host = NO DEFAULT", "host = localhost".into()),
            // A password is looked at with every request.
            ("password_pbkdf2_default_rounds =", "password_pbkdf2_default_rounds = 1000".into()),
        ];
        let line = |line: &str| {
            let own = own.iter().find(|(begin, _)| line.starts_with(begin));
            own.map_or_else(|| line.to_owned(), |(_, own)| own.clone()) + "\n"
        };
        text.lines().map(line).collect()
    });
    let key = "user.setkey(\"username\")\n";
    replace(&folder.join("tracker/schema.py"), |text| text.replacen(key, &format!("{key}{CLASS}"), 1));
    python(&[&admin, "-i", tracker, "initialise", PASSWORD]);
    python(&["-c", FILL, tracker, &items.to_string()]);
}

fn replace(file: &Path, change: impl Fn(&str) -> String) {
    fs::write(file, change(&fs::read_to_string(file).unwrap())).unwrap();
}

fn python(arguments: &[&str]) {
    let (name, folder) = ("PYTHONPATH", tool("roundup"));
    let mut command = Command::new("python3");
    let output =
        command.args(arguments).env(name, folder).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn python_path() -> String {
    format!("PYTHONPATH={}", tool("roundup").display())
}

pub(crate) fn we_are_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
