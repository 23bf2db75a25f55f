//! One server.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::{Cmd, Connection, IntoConnectionInfo, RedisResult, Value};
use tempfile::TempDir;

use crate::{ports, wait_until};

/// How often another port is tried if somebody else got the one that was free.
const TRIES: usize = 10;

/// The file that a server reads before its arguments, and a sentinel writes to.
const CONF: &str = "conf";

/// A server that ends with this.
pub struct Server {
    process: Child,
    port: u16,
    args: Vec<String>,
    dir: TempDir,
    /// The password that it asks for.
    password: Option<String>,
}

impl Server {
    /// Starts one that keeps nothing on disk.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with more arguments, as in `["--maxmemory", "3mb"]`.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_with(args: &[&str]) -> Self {
        Self::start_in(args, None)
    }

    fn start_in(args: &[&str], conf: Option<&str>) -> Self {
        let args: Vec<_> = args.iter().map(|&arg| arg.to_owned()).collect();
        for _ in 0..TRIES {
            let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("a directory: {error}"));
            let conf = std::fs::write(dir.path().join(CONF), conf.unwrap_or_default());
            conf.unwrap_or_else(|error| panic!("a file: {error}"));
            let port = ports::free();
            let process = spawn(port, &args, &dir);
            let mut server = Self {
                process,
                port,
                args: args.clone(),
                dir,
                password: None,
            };
            if server.comes_up() {
                return server;
            }
        }
        panic!("redis-server does not start with {args:?}");
    }

    /// Starts a sentinel with these arguments, and these lines of configuration.
    pub(crate) fn start_sentinel(args: &[&str], conf: &str) -> Self {
        // It is a file that the sentinel itself writes to, and comes with the directory.
        Self::start_in(&[&["--sentinel"], args].concat(), Some(conf))
    }

    /// Whether it answers before it ends.
    fn comes_up(&mut self) -> bool {
        let mut is_up = false;
        wait_until("the server starts", || {
            is_up = self.try_command(&["PING"]).is_ok() && self.is_itself();
            is_up || self.process.try_wait().is_ok_and(|status| status.is_some())
        });
        is_up
    }

    /// Whether who answers is not somebody else's, who got the port.
    fn is_itself(&self) -> bool {
        let own = format!("process_id:{}\r", self.process.id());
        let info = self.try_text(&["INFO", "server"]);
        info.is_ok_and(|info| info.contains(&own))
    }

    /// Where it listens, at 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it, as `kill -9` does.
    ///
    /// # Panics
    /// It cannot be killed.
    pub fn kill(&mut self) {
        let ended = self.process.kill().and_then(|()| self.process.wait());
        ended.unwrap_or_else(|error| panic!("killing the server: {error}"));
    }

    /// Starts one that was killed, at the same port, with the same arguments and what it had on disk.
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(&mut self) {
        self.process = spawn(self.port, &self.args, &self.dir);
        assert!(self.comes_up(), "the server does not start again");
    }

    /// Asks everybody for this password from now on, also after a restart. A sentinel can do that, too.
    ///
    /// # Panics
    /// It refuses.
    pub fn require_password(&mut self, password: &str) {
        let rule = format!(">{password}");
        self.command(&["ACL", "SETUSER", "default", "resetpass", &rule]);
        self.restarts_with(["--requirepass", password]);
        self.password = Some(password.to_owned());
    }

    /// Gives it more arguments from its next start on.
    pub(crate) fn restarts_with(&mut self, args: [&str; 2]) {
        self.args.extend(args.map(str::to_owned));
    }

    /// Kills it, and starts it again with so much on disk that it is still loading after this, and for half a minute.
    ///
    /// # Panics
    /// It does not come to that.
    pub fn kill_and_load_slowly(&mut self) {
        const FILL: &str = "for i = 1, 30000 do redis.call('SET', 'key' .. i, 'value') end";
        self.command(&["EVAL", FILL, "0"]);
        self.command(&["SAVE"]);
        self.kill();
        // The first one is in microseconds for each key; the second one is how often it looks up from loading.
        let slowly = [
            "--key-load-delay",
            "1000",
            "--loading-process-events-interval-bytes",
            "1024",
        ];
        let args = [&self.args[..], &slowly.map(str::to_owned)].concat();
        self.process = spawn(self.port, &args, &self.dir);
        wait_until("it is loading", || {
            let error = self.try_command(&["PING"]).err();
            error.is_some_and(|error| error.code() == Some("LOADING"))
        });
    }

    /// Lets one that loads slowly come to an end, and waits until it has.
    ///
    /// # Panics
    /// It does not come to that.
    pub fn load_quickly(&self) {
        self.command(&["CONFIG", "SET", "key-load-delay", "0"]);
        wait_until("it has loaded", || self.try_command(&["PING"]).is_ok());
    }

    /// Stops its time: it takes connections and answers nothing.
    #[cfg(unix)]
    pub fn pause(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Lets it go on.
    #[cfg(unix)]
    pub fn resume(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, signal)
            .unwrap_or_else(|error| panic!("a signal to the server: {error}"));
    }

    /// A connection of one's own.
    ///
    /// # Errors
    /// It is down.
    pub fn connect(&self) -> RedisResult<Connection> {
        let info = self.url().into_connection_info()?;
        let mut settings = info.redis_settings().clone();
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        let client = redis::Client::open(info.set_redis_settings(settings))?;
        client.get_connection_with_timeout(Duration::from_secs(5))
    }

    /// Asks it something.
    ///
    /// # Errors
    /// It is down, or it says no.
    pub fn try_command(&self, words: &[&str]) -> RedisResult<Value> {
        let mut cmd = Cmd::new();
        for word in words {
            cmd.arg(word);
        }
        cmd.query(&mut self.connect()?)
    }

    /// What it answers, as text.
    ///
    /// # Errors
    /// It is down, or it says no, or not in words.
    pub fn try_text(&self, words: &[&str]) -> RedisResult<String> {
        Ok(redis::from_redis_value(self.try_command(words)?)?)
    }

    /// Asks it something.
    ///
    /// # Panics
    /// It is down, or it says no.
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> Value {
        let value = self.try_command(words);
        value.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// A number that it says of itself, as in `("stats", "total_connections_received")`.
    ///
    /// # Panics
    /// It does not say that.
    #[must_use]
    pub fn figure(&self, section: &str, name: &str) -> u64 {
        let text = self.text(&["INFO", section]);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let figure = line.and_then(|figure| figure.trim().parse().ok());
        figure.unwrap_or_else(|| panic!("no figure {name} in {text}"))
    }

    /// What it answers, as text.
    ///
    /// # Panics
    /// It is down, or it says no, or not in words.
    #[must_use]
    pub fn text(&self, words: &[&str]) -> String {
        let text = self.try_text(words);
        text.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill().and_then(|()| self.process.wait()));
    }
}

fn spawn(port: u16, args: &[String], dir: &TempDir) -> Child {
    Command::new("redis-server")
        .arg(CONF)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--logfile", "log"])
        // A replica is not kept waiting in case that others come, too.
        .args(["--repl-diskless-sync-delay", "0"])
        .args(args)
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("redis-server does not start: {error}"))
}
