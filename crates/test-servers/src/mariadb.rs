//! MariaDB.

use std::{
    ffi::OsStr,
    fs::{self, File, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    certificates::{CA_CERTIFICATE, write_certificates},
    guard::Guard,
    port,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// Who may do everything, on every server.
const USER: &str = "tide";
const PASSWORD: &str = "tide mark/%1";

/// A MariaDB server with TLS for whoever wants it. Its folder is in the system's folder for temporary files: the server may run as a
/// user who can read nothing of ours.
pub struct Mariadb {
    folder: PathBuf,
    port: u16,
    options: Vec<String>,
    running: Mutex<Option<Guard>>,
    databases: AtomicU32,
}

/// A database of its own on a server.
pub struct MariadbDatabase<'s> {
    server: &'s Mariadb,
    name: String,
}

impl Mariadb {
    /// The server that the tests of this process share; each takes a database of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Mariadb> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server of one's own, to be stopped and killed at will.
    pub fn start() -> Self {
        Self::with_options(&[])
    }

    /// A server of one's own with further options of `mariadbd`.
    pub fn with_options(options: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("tidemark-mariadb-").tempdir_in("/tmp").unwrap().keep();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        write_certificates(&folder, &folder, &["localhost", "127.0.0.1"]);
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let port = port::free();
        let server = Self { folder, port, options, running: Mutex::new(None), databases: AtomicU32::new(0) };
        server.make();
        server.start_again();
        server
    }

    fn make(&self) {
        let data = self.folder.join("data");
        fs::create_dir(&data).unwrap();
        if is_root() {
            let owned = Command::new("chown").args(["-R", "mysql:mysql"]).arg(&self.folder).status();
            assert!(owned.unwrap().success(), "the server's folder cannot be given to the user `mysql`");
        }
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", data.display()))
            // Several at once would remove each other's temporary tables.
            .env("TMPDIR", &self.folder)
            .args(is_root().then_some("--user=mysql"))
            .output()
            .expect("`mariadb-install-db` starts (Debian package `mariadb-server`)");
        assert!(made.status.success(), "MariaDB was not set up:\n{}", String::from_utf8_lossy(&made.stderr));
        // Each statement stands on a line of its own: https://mariadb.com/kb/en/server-system-variables/#init_file
        let users = ["localhost", "127.0.0.1"].map(|host| {
            format!(
                "CREATE USER '{USER}'@'{host}' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO '{USER}'@'{host}' WITH GRANT OPTION;\n"
            )
        });
        fs::write(self.folder.join("users.sql"), users.concat()).unwrap();
        fs::set_permissions(self.folder.join("users.sql"), Permissions::from_mode(0o644)).unwrap();
    }

    /// Starts it again on the port it had.
    pub fn start_again(&self) {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let first = !self.folder.join("log").exists();
        let log = File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        let mut server = vec![
            program(),
            "--no-defaults".to_owned(),
            format!("--datadir={}", at("data")),
            format!("--socket={}", at("s.sock")),
            format!("--tmpdir={}", at("")),
            format!("--pid-file={}", at("pid")),
            format!("--port={}", self.port),
            "--bind-address=127.0.0.1".to_owned(),
            "--innodb-flush-method=fsync".to_owned(),
            format!("--ssl-ca={}", at(CA_CERTIFICATE)),
            format!("--ssl-cert={}", at("server.crt")),
            format!("--ssl-key={}", at("server.key")),
        ];
        server.extend(is_root().then(|| "--user=mysql".to_owned()));
        server.extend(first.then(|| format!("--init-file={}", at("users.sql"))));
        server.extend(self.options.iter().cloned());
        let guard = Guard::start(&server, &self.folder, &log, "KILL");
        *self.running.lock().unwrap() = Some(guard);
        let start = Instant::now();
        while !self.client("mysql").args(["-e", "SELECT 1"]).output().unwrap().status.success() {
            let said = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(start.elapsed() < PATIENCE, "MariaDB did not start:\n{said}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it at once, as if the machine had lost power. The data stays; the next start recovers it.
    pub fn kill(&self) {
        if let Some(guard) = self.running.lock().unwrap().take() {
            guard.end("KILL");
        }
    }

    /// The port it listens on, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority that signed the server's certificate, which is for `localhost` and `127.0.0.1`.
    pub fn ca_certificate(&self) -> PathBuf {
        self.folder.join(CA_CERTIFICATE)
    }

    /// A new, empty database.
    pub fn database(&self) -> MariadbDatabase<'_> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.database_named("mysql").execute(&format!("CREATE DATABASE {name}"));
        self.database_named(&name)
    }

    fn database_named(&self, name: &str) -> MariadbDatabase<'_> {
        MariadbDatabase { server: self, name: name.to_owned() }
    }

    fn client(&self, database: &str) -> Command {
        let mut client = Command::new("mariadb");
        client
            .args(["--no-defaults", "--default-character-set=utf8mb4", "--batch", "--skip-column-names"])
            .args(["--user", USER, &format!("--password={PASSWORD}"), "--protocol=tcp", "--host=127.0.0.1"])
            .arg(format!("--port={}", self.port))
            .arg(OsStr::new(database));
        client
    }
}

impl MariadbDatabase<'_> {
    /// How to connect: `mariadb://user:password@host:port/database`.
    pub fn url(&self) -> String {
        format!("mariadb://{USER}:tide%20mark%2F%251@127.0.0.1:{}/{}", self.server.port, self.name)
    }

    /// Runs statements.
    pub fn execute(&self, sql: &str) {
        self.rows(sql);
    }

    /// What statements give, a line for each row, its columns apart by tabs; what is special in them is escaped, NULL is `NULL`.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let mut client = self.server.client(&self.name);
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = client.spawn().expect("`mariadb` starts (Debian package `mariadb-client`)");
        client.stdin.take().expect("its input is piped").write_all(sql.as_bytes()).unwrap();
        let output = client.wait_with_output().unwrap();
        assert!(output.status.success(), "{sql}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Drop for Mariadb {
    fn drop(&mut self) {
        if self.running.get_mut().is_ok_and(|running| running.take().is_none()) {
            // Nobody guards the folder of a stopped server.
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

/// The server stands where not every `PATH` leads.
fn program() -> String {
    let installed = "/usr/sbin/mariadbd";
    if Path::new(installed).exists() { installed } else { "mariadbd" }.to_owned()
}

/// Whether we are root, as whom the server refuses to run.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
