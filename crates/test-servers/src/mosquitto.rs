//! Mosquitto, a broker of MQTT.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    certificates::{CA_CERTIFICATE, write_certificates},
    guard::Guard,
    port,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// Who may come in by the port that takes nobody else.
const USER: &str = "fleet";
const PASSWORD: &str = "tide mark/%1";

/// A broker that keeps its sessions. One port takes everybody; another, with TLS, takes [`user`](Self::user) alone.
pub struct Mosquitto {
    folder: PathBuf,
    port: u16,
    secure_port: u16,
    running: Option<Guard>,
}

impl Mosquitto {
    /// Starts one.
    pub fn start() -> Self {
        for _ in 0..10 {
            let folder = tempfile::Builder::new().prefix("tidemark-mosquitto-").tempdir().unwrap().keep();
            let mut broker = Self { folder, port: port::free(), secure_port: port::free(), running: None };
            broker.set_up();
            match broker.try_start() {
                Ok(guard) => {
                    broker.running = Some(guard);
                    return broker;
                }
                // Somebody was faster.
                Err(log) if log.contains("Address already in use") => {}
                Err(log) => panic!("Mosquitto did not start:\n{log}"),
            }
        }
        panic!("ten ports for Mosquitto were all taken by others");
    }

    /// Ends it in good order: its sessions are on the disk.
    pub fn stop(&mut self) {
        self.running.take().expect("the broker runs").end("TERM");
    }

    /// Starts it again on the ports it had.
    pub fn start_again(&mut self) {
        let guard = self.try_start();
        self.running = Some(guard.unwrap_or_else(|log| panic!("Mosquitto did not start again:\n{log}")));
    }

    /// Forgets all sessions and messages, while it is stopped.
    pub fn forget(&self) {
        fs::remove_file(self.folder.join("mosquitto.db")).unwrap();
    }

    /// Where everybody comes in.
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Where the user comes in, with TLS. The certificate is for `localhost`.
    pub fn secure_url(&self) -> String {
        format!("mqtts://localhost:{}", self.secure_port)
    }

    /// The user's name and password.
    pub fn user(&self) -> (&'static str, &'static str) {
        (USER, PASSWORD)
    }

    /// The authority that signed the broker's certificate.
    pub fn ca_certificate(&self) -> PathBuf {
        self.folder.join(CA_CERTIFICATE)
    }

    /// Publishes each line as a message, by QoS 1. Returns when the broker has all of them.
    pub fn publish_lines(&self, topic: &str, lines: &[String]) {
        self.publish_by(
            &["--qos", "1", "--topic", topic, "--stdin-line"],
            (lines.join("\n") + "\n").as_bytes(),
        );
    }

    /// Publishes one message, by QoS 1, with further `options` of `mosquitto_pub`.
    pub fn publish(&self, topic: &str, payload: &[u8], options: &[&str]) {
        self.publish_by(&[&["--qos", "1", "--topic", topic, "--stdin-file"], options].concat(), payload);
    }

    fn publish_by<A: AsRef<OsStr>>(&self, arguments: &[A], input: &[u8]) {
        let mut publisher = Command::new("mosquitto_pub")
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--protocol-version", "5"])
            .args(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("`mosquitto_pub` starts (Debian package `mosquitto-clients`)");
        publisher.stdin.take().expect("its input is piped").write_all(input).unwrap();
        assert!(publisher.wait().unwrap().success(), "the broker did not take the messages");
    }

    fn set_up(&self) {
        let at = |name: &str| self.folder.join(name).display().to_string();
        write_certificates(&self.folder, &self.folder, &["localhost"]);
        let made =
            Command::new("mosquitto_passwd").args(["-b", "-c", &at("passwords"), USER, PASSWORD]).status();
        assert!(made.expect("`mosquitto_passwd` starts (Debian package `mosquitto`)").success());
        let (port, secure_port) = (self.port, self.secure_port);
        let (certificate, key, passwords, data) =
            (at("server.crt"), at("server.key"), at("passwords"), at(""));
        let settings = format!(
            "per_listener_settings true\nuser root\nlog_dest stderr\nmax_queued_messages 0\n\
             persistence true\npersistence_location {data}\n\
             listener {port} 127.0.0.1\nallow_anonymous true\n\
             listener {secure_port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n\
             certfile {certificate}\nkeyfile {key}\n"
        );
        fs::write(self.folder.join("settings"), settings).unwrap();
    }

    /// Fails with the broker's log.
    fn try_start(&self) -> Result<Guard, String> {
        let file = self.folder.join("log");
        let installed = PathBuf::from("/usr/sbin/mosquitto");
        let program = if installed.exists() { installed } else { PathBuf::from("mosquitto") };
        let settings = self.folder.join("settings");
        let server = [program.to_str().unwrap(), "-c", settings.to_str().unwrap()].map(str::to_owned);
        let guard = Guard::start(&server, &self.folder, &File::create(&file).unwrap(), "KILL");
        let start = Instant::now();
        loop {
            let said = fs::read_to_string(&file).unwrap_or_default();
            if said.contains("running") {
                return Ok(guard);
            }
            if said.contains("Error") || said.contains("not found") || start.elapsed() > PATIENCE {
                return Err(said);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}
