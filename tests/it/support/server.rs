//! A server in a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use actix_web::error::BlockingError;
use actix_web::web::{self, ServiceConfig};
use actix_web::{Responder, get, post};
use bsession::{AtLimit, Clock, FileStore, Handle, Secure, Sessions, session};

use super::{Site, Visitor, Wire, secret};

// What such a process is told: where the sessions are, the number of its secret, and by how many
// seconds its clock is behind.
const DIRECTORY: &str = "BSESSION_TEST_DIRECTORY";
const NUMBER: &str = "BSESSION_TEST_SECRET";
const BEHIND: &str = "BSESSION_TEST_BEHIND";
// How many sessions a user may have, if that is limited, and which ones go.
const LIMIT: &str = "BSESSION_TEST_LIMIT";
const GOES: &str = "BSESSION_TEST_GOES";

/// The clock of such a process.
static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::default);

/// Run by [`Start::serve`], in processes of its own; by itself it does nothing.
#[test]
fn serve() {
    let told = |name: &str| std::env::var(name);
    let Ok(directory) = told(DIRECTORY) else {
        return;
    };
    let number = |name| -> u64 { told(name).expect("told").parse().expect("a number") };
    CLOCK.rewind(Duration::from_secs(number(BEHIND)));
    let secret = secret(usize::try_from(number(NUMBER)).expect("small"));
    let sessions = Sessions::builder(secret)
        .mode(FileStore::at(directory))
        .clock(CLOCK.clone())
        .secure(Secure::Never);
    let sessions = match told(GOES).as_deref() {
        Ok("oldest") => sessions.max_per_user(number(LIMIT) as usize, AtLimit::EndOldest),
        Ok("newest") => sessions.max_per_user(number(LIMIT) as usize, AtLimit::RefuseNewest),
        _ => sessions,
    };
    let site = Site::open_with(sessions.build().expect("a service"), routes);
    println!("\nserving at {}", site.address);
    std::io::stdout().flush().expect("the parent reads");
    // Until the parent closes its end, or is gone.
    std::io::stdin().lines().for_each(drop);
}

/// How a server is to be.
pub struct Start(Command);

impl Start {
    pub fn at(directory: &Path) -> Self {
        let this = std::env::current_exe().expect("this program");
        let mut command = Command::new(this);
        command
            .args(["support::server::serve", "--exact", "--nocapture"])
            .env(DIRECTORY, directory)
            .env(NUMBER, "1")
            .env(BEHIND, "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Self(command)
    }

    /// With another secret than the first.
    pub fn secret(mut self, number: usize) -> Self {
        self.0.env(NUMBER, number.to_string());
        self
    }

    /// With a clock that is so far behind.
    pub fn behind(mut self, span: Duration) -> Self {
        self.0.env(BEHIND, span.as_secs().to_string());
        self
    }

    /// With so many sessions for each user, and the oldest or the newest to go.
    pub fn limit(mut self, count: usize, goes: &str) -> Self {
        self.0.env(LIMIT, count.to_string()).env(GOES, goes);
        self
    }

    /// What the tests of files need beside that.
    #[cfg(unix)]
    pub fn user(mut self, number: u32) -> Self {
        use std::os::unix::process::CommandExt;
        self.0.uid(number).gid(number);
        self
    }

    /// On a disk that takes so long for each write; `None` where there is no strace to slow it down.
    #[cfg(target_os = "linux")]
    pub fn slow_disk(self, delay: Duration) -> Option<Self> {
        Command::new("strace").arg("--version").output().ok()?;
        let mut strace = Command::new("strace");
        // With a filter in the kernel no other call is slower than it would be.
        strace
            .args(["--seccomp-bpf", "-f", "-qq", "-o", "/dev/null", "-e"])
            .arg("trace=pwrite64")
            .arg("-e")
            .arg(format!("inject=pwrite64:delay_enter={}", delay.as_micros()))
            .arg(self.0.get_program())
            .args(self.0.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        for (name, value) in self.0.get_envs() {
            strace.env(name, value.expect("none is removed"));
        }
        Some(Self(strace))
    }

    pub fn serve(mut self) -> Server {
        let mut child = self.0.spawn().expect("a process");
        let stdin = child.stdin.take().expect("piped");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("serving at ")?.parse().ok())
            .expect("the server says where it is");
        Server {
            child,
            address,
            _stdin: stdin,
        }
    }
}

pub struct Server {
    pub address: SocketAddr,
    child: Child,
    _stdin: ChildStdin,
}

impl Server {
    pub fn start(directory: &Path) -> Self {
        Start::at(directory).serve()
    }

    pub fn visitor(&self) -> Visitor {
        Visitor::new(self.address)
    }

    pub fn wire(&self) -> Wire {
        Wire::open(self.address)
    }

    #[cfg(target_os = "linux")]
    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    /// `kill -9`: nothing in a server may count on an orderly end.
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

#[post("/begin/{user}")]
#[session]
async fn begin(user: web::Path<String>) -> impl Responder {
    session.login(&*user);
    session["name"] = user.as_str().into();
    "begun"
}

/// Does as other routes, with so many turns of other requests between its load and its save, and
/// tells whether it found somebody's session.
#[post("/racing/{what}/{turns}")]
#[session]
async fn racing(path: web::Path<(String, usize)>) -> bsession::Result<impl Responder> {
    let (what, turns) = path.into_inner();
    let found = session.contains_key("name");
    match &*what {
        "read" => {}
        "set" => session.insert("mine", "words")?,
        "add" => drop(session.update("n", |n: u64| n + 1)?),
        "renew" => session.renew(),
        "logout" => session.purge(),
        user => {
            session.login(user);
            session.insert("mine", "words")?;
        }
    }
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
    Ok(found.to_string())
}

#[post("/sweep")]
async fn sweep(sessions: Sessions) -> actix_web::Result<impl Responder, BlockingError> {
    let swept = web::block(move || sessions.sweep()).await?;
    Ok(swept.expect("the store works").to_string())
}

#[post("/turn/{seconds}")]
async fn turn(seconds: web::Path<u64>) -> impl Responder {
    CLOCK.advance(Duration::from_secs(*seconds));
    "turned"
}

#[get("/sessions-of/{user}")]
async fn sessions_of(sessions: Sessions, user: web::Path<String>) -> bsession::Result<String> {
    Ok(sessions.of_user(&user).await?.len().to_string())
}

#[post("/revoke-user/{user}")]
async fn revoke_user(sessions: Sessions, user: web::Path<String>) -> bsession::Result<String> {
    Ok(sessions.revoke_user(&user, None).await?.to_string())
}

#[post("/revoke/{user}/{handle}")]
async fn revoke(sessions: Sessions, path: web::Path<(String, Handle)>) -> bsession::Result<String> {
    let (user, handle) = path.into_inner();
    Ok(sessions.revoke(&user, handle).await?.to_string())
}

#[get("/stats")]
async fn stats(sessions: Sessions) -> impl Responder {
    let stats = sessions.stats();
    web::Json(serde_json::json!({
        "commits": stats.commits,
        "conflicts": stats.conflicts,
        "late": stats.late,
        "touches": stats.touches,
        "unreadable": stats.unreadable,
        "store_errors": stats.store_errors,
    }))
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(begin)
        .service(racing)
        .service(sweep)
        .service(turn)
        .service(sessions_of)
        .service(revoke_user)
        .service(revoke)
        .service(stats);
}
