//! A server under measurement: a child process, and the line to it.

use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{
    Result,
    allocations::Allocations,
    callgrind, control,
    library::{Library, Route},
    redis::Redis,
    visitor,
};

/// Stopped when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// What it keeps on disk, and nothing else; deleted with it.
    dir: TempDir,
    /// What it keeps elsewhere: a Redis that nobody else uses.
    redis: Option<Redis>,
}

impl Server {
    /// Starts `library` as it is, and sees that it works.
    pub(crate) async fn start(library: Library, route: Route, scratch: &Path) -> Result<Self> {
        let command = Command::new(std::env::current_exe()?);
        let server = Self::spawn(command, library, route, scratch).await?;
        visitor::check(server.address, route)
            .await
            .map_err(|error| {
                let (library, route) = (library.name(), route.name());
                format!("{library} {route} does not work: {error}")
            })?;
        Ok(server)
    }

    /// Starts `library` under callgrind, which writes what it counted to `out.1`, `out.2`, … at each [`mark`](Self::mark).
    pub(crate) async fn start_counted(
        library: Library,
        route: Route,
        scratch: &Path,
        out: &Path,
    ) -> Result<Self> {
        Self::spawn(callgrind::command(out)?, library, route, scratch).await
    }

    async fn spawn(
        mut command: Command,
        library: Library,
        route: Route,
        scratch: &Path,
    ) -> Result<Self> {
        let dir = tempfile::tempdir_in(scratch)?;
        let redis = library.uses_redis().then(Redis::start).transpose()?;
        let mut child = command
            .args(["serve", library.name(), route.name()])
            .args(redis.as_ref().map(Redis::url))
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let questions = child.stdin.take().ok_or("the server has no stdin")?;
        let answers = child.stdout.take().ok_or("the server has no stdout")?;
        let mut answers = BufReader::new(answers).lines();
        let address = answers.next_line().await?;
        let address = address.ok_or_else(|| format!("{} did not start", library.name()))?;
        Ok(Self {
            address: address.parse()?,
            child,
            questions,
            answers,
            dir,
            redis,
        })
    }

    /// CPU time spent so far.
    pub(crate) async fn cpu(&mut self) -> Result<Duration> {
        Ok(Duration::from_nanos(self.ask(control::CPU).await?.parse()?))
    }

    /// What was allocated since this was asked first.
    pub(crate) async fn allocations(&mut self) -> Result<Allocations> {
        let answer = self.ask(control::ALLOCATIONS).await?;
        let (calls, bytes) = answer.split_once(' ').ok_or("an answer of two numbers")?;
        Ok(Allocations {
            calls: calls.parse()?,
            bytes: bytes.parse()?,
        })
    }

    /// Under callgrind: write down what was counted since the last mark.
    pub(crate) async fn mark(&mut self) -> Result<()> {
        self.ask(control::MARK).await.map(drop)
    }

    /// The memory of the process, in bytes, that lies in RAM.
    pub(crate) fn resident(&self) -> Result<u64> {
        let process = self.child.id().ok_or("the server is gone")?;
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|kib| kib.trim().strip_suffix(" kB"));
        Ok(1024 * kib.ok_or("no VmRSS")?.parse::<u64>()?)
    }

    /// Where its files lie.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its Redis, if it has one.
    pub(crate) fn redis(&mut self) -> Option<&mut Redis> {
        self.redis.as_mut()
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    async fn ask(&mut self, question: &str) -> Result<String> {
        self.questions
            .write_all(format!("{question}\n").as_bytes())
            .await?;
        Ok(self
            .answers
            .next_line()
            .await?
            .ok_or("the server is gone")?)
    }
}
