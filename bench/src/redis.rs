//! A Redis of its own for a server under measurement, and what it says of itself.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    ops::Sub,
    str::FromStr,
    time::Duration,
};

use bsession_redis_servers::Server;

use crate::Result;

/// Stopped when it is dropped; nothing of it is kept.
pub(crate) struct Redis {
    pub(crate) server: Server,
    line: BufReader<TcpStream>,
    /// What of the traffic is our own, so far.
    own: Traffic,
}

/// What came and went over the connections of all clients.
#[derive(Clone, Copy, Default)]
pub(crate) struct Traffic {
    /// How often Redis found something to read: for one request at a time and each command awaited,
    /// round trips; commands that are sent in one go are one.
    pub(crate) round_trips: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            round_trips: self.round_trips - before.round_trips,
            bytes_in: self.bytes_in - before.bytes_in,
            bytes_out: self.bytes_out - before.bytes_out,
        }
    }
}

impl Redis {
    /// One that saves nothing to disk: that would be measured with it.
    pub(crate) fn start() -> Result<Self> {
        if !bsession_redis_servers::is_installed() {
            return Err("redis-server is missing (Debian: apt-get install redis-server)".into());
        }
        let server = Server::start();
        Ok(Self {
            line: connect(&server)?,
            server,
            own: Traffic::default(),
        })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn version(&mut self) -> Result<String> {
        figure(&self.info("server")?, "redis_version")
    }

    /// What others than us have sent and were sent.
    pub(crate) fn traffic(&mut self) -> Result<Traffic> {
        // A question is counted before it is answered, its answer after.
        let bytes_out = self.own.bytes_out;
        let info = self.info("stats")?;
        let own = Traffic {
            bytes_out,
            ..self.own
        };
        let all = Traffic {
            round_trips: figure(&info, "total_reads_processed")?,
            bytes_in: figure(&info, "total_net_input_bytes")?,
            bytes_out: figure(&info, "total_net_output_bytes")?,
        };
        Ok(all - own)
    }

    /// CPU time so far, in user space and in the kernel.
    pub(crate) fn cpu(&mut self) -> Result<Duration> {
        let info = self.info("cpu")?;
        let user: f64 = figure(&info, "used_cpu_user")?;
        let system: f64 = figure(&info, "used_cpu_sys")?;
        Ok(Duration::from_secs_f64(user + system))
    }

    /// A figure of its memory in bytes, such as `used_memory`: all that it asked of its allocator.
    pub(crate) fn memory(&mut self, name: &str) -> Result<u64> {
        figure(&self.info("memory")?, name)
    }

    fn info(&mut self, section: &str) -> Result<String> {
        self.ask(&["INFO", section])
    }

    /// A command whose answer is one text.
    pub(crate) fn ask(&mut self, command: &[&str]) -> Result<String> {
        let mut question = format!("*{}\r\n", command.len());
        for word in command {
            question += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.line.get_mut().write_all(question.as_bytes())?;
        let mut head = String::new();
        self.line.read_line(&mut head)?;
        let length = head
            .strip_prefix('$')
            .and_then(|length| length.trim_end().parse().ok());
        let length: usize = length.ok_or_else(|| format!("Redis answered {head:?}"))?;
        let mut text = vec![0; length + 2];
        self.line.read_exact(&mut text)?;
        self.own.round_trips += 1;
        self.own.bytes_in += question.len() as u64;
        self.own.bytes_out += (head.len() + text.len()) as u64;
        Ok(String::from_utf8(text)?)
    }
}

/// A connection on which nothing was said yet.
pub(crate) fn connect(server: &Server) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port()))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

fn figure<T: FromStr>(info: &str, name: &str) -> Result<T> {
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(found, _)| *found == name);
    let value = found.and_then(|(_, value)| value.trim().parse().ok());
    value.ok_or_else(|| format!("Redis does not say {name}: is it older than 7?").into())
}

#[cfg(test)]
mod tests {
    use super::figure;

    #[test]
    fn a_figure_has_its_whole_name() {
        let info = "# Memory\r\nused_memory_rss:2\r\nused_memory:1\r\n";
        assert_eq!(figure::<u64>(info, "used_memory").expect("it is there"), 1);
        assert!(figure::<u64>(info, "memory").is_err());
    }

    #[cfg(feature = "redis")]
    #[test]
    fn our_own_questions_are_not_counted() {
        let mut redis = super::Redis::start().expect("a Redis");
        let before = redis.traffic().expect("it tells");
        redis.cpu().expect("it tells");
        redis.ask(&["ECHO", "something"]).expect("it answers");
        let spent = redis.traffic().expect("it tells") - before;
        assert_eq!(
            (spent.round_trips, spent.bytes_in, spent.bytes_out),
            (0, 0, 0)
        );
    }
}
