//! What a library adds to a build: crates, and seconds of a build from nothing.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use tokio::process::Command;

use crate::Result;

/// The versions that are compared.
const LOCK: &str = include_str!("../Cargo.lock");
const BSESSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

const ACTIX_WEB: &str =
    r#"actix-web = { version = "4", default-features = false, features = ["cookies", "macros"] }"#;
const AXUM: &str = r#"axum = { version = "0.8", default-features = false, features = ["http1", "tokio"] }
tokio = { version = "1", features = ["macros", "net", "rt"] }"#;

/// A program of a framework and nothing else, or of what one would take for sessions.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    framework: &'static str,
    session: &'static str,
}

impl Program {
    const ALL: [Self; 9] = [
        Self::new("actix-web with cookies", ACTIX_WEB, ""),
        Self::new(
            "bsession",
            ACTIX_WEB,
            "bsession = { path = \"{bsession}\" }",
        ),
        Self::new(
            "bsession, Redis",
            ACTIX_WEB,
            "bsession = { path = \"{bsession}\", features = [\"redis\"] }",
        ),
        Self::new("actix-session", ACTIX_WEB, r#"actix-session = "0.11""#),
        Self::new(
            "actix-session, Redis",
            ACTIX_WEB,
            r#"actix-session = { version = "0.11", features = ["redis-session"] }"#,
        ),
        Self::new("axum", AXUM, ""),
        Self::new(
            "tower-sessions, memory store, signed cookie",
            AXUM,
            r#"tower-sessions = { version = "0.15", features = ["signed"] }"#,
        ),
        Self::new(
            "tower-sessions, SQLite, signed cookie",
            AXUM,
            r#"tower-sessions = { version = "0.15", features = ["signed"] }
tower-sessions-rusqlite-store = "0.15"
tokio-rusqlite = { version = "0.8", features = ["bundled"] }"#,
        ),
        Self::new(
            "tower-sessions 0.14, Redis, signed cookie",
            AXUM,
            r#"tower-sessions = { version = "0.14", features = ["signed"] }
tower-sessions-redis-store = "0.16""#,
        ),
    ];

    const fn new(name: &'static str, framework: &'static str, session: &'static str) -> Self {
        Self {
            name,
            framework,
            session,
        }
    }

    pub(crate) fn is_framework(&self) -> bool {
        self.session.is_empty()
    }

    /// Writes the package down, its versions pinned to those that are compared.
    fn write(&self, dir: &Path) -> Result<()> {
        let session = self.session.replace("{bsession}", BSESSION);
        let manifest = format!(
            "[workspace]\n[package]\nname = \"program\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
             [dependencies]\n{}\n{session}\n",
            self.framework
        );
        fs::create_dir_all(dir.join("src"))?;
        fs::write(dir.join("Cargo.toml"), manifest)?;
        fs::write(dir.join("Cargo.lock"), LOCK)?;
        Ok(fs::write(dir.join("src/main.rs"), "fn main() {}\n")?)
    }
}

/// What was built.
pub(crate) struct Built {
    pub(crate) program: Program,
    pub(crate) crates: usize,
    /// One entry a round.
    pub(crate) seconds: Vec<f64>,
}

pub(crate) async fn measure(rounds: usize, scratch: &Path) -> Result<Vec<Built>> {
    let mut measured: Vec<(PathBuf, Built)> = Vec::new();
    for (number, program) in Program::ALL.into_iter().enumerate() {
        let dir = scratch.join(format!("program-{number}"));
        program.write(&dir)?;
        let crates = crates(&dir).await?;
        let seconds = Vec::new();
        let built = Built {
            program,
            crates,
            seconds,
        };
        measured.push((dir, built));
    }
    for round in 0..rounds {
        for (dir, built) in &mut measured {
            let name = built.program.name;
            eprintln!("building {name}, round {} of {rounds}", round + 1);
            let begin = Instant::now();
            cargo(dir, &["build", "--release", "--offline"]).await?;
            built.seconds.push(begin.elapsed().as_secs_f64());
            fs::remove_dir_all(dir.join("target"))?;
        }
    }
    Ok(measured.into_iter().map(|(_, built)| built).collect())
}

/// How many crates are compiled beside the program itself. What is not there yet is downloaded.
async fn crates(dir: &Path) -> Result<usize> {
    let tree = ["tree", "--edges=normal,build", "--prefix=none"];
    let listed = match cargo(dir, &[&tree[..], &["--offline"]].concat()).await {
        Ok(listed) => listed,
        Err(_) => cargo(dir, &tree).await?,
    };
    let lines = listed.lines().filter(|line| !line.is_empty());
    let crates: BTreeSet<&str> = lines.map(|line| line.trim_end_matches(" (*)")).collect();
    Ok(crates.len() - 1)
}

async fn cargo(dir: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(args)
        .current_dir(dir)
        .env("CARGO_TARGET_DIR", dir.join("target"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into())
    }
}
