//! What the command line asks for.

use std::time::Duration;

pub(crate) const USAGE: &str = "\
usage: soak [--minutes N | --seconds N] [--mode file|memory|redis] [--processes N] [--clients N] [--rate N]

  --minutes N      how long, 1 to 60 (default: 1)
  --seconds N      the same in seconds, 10 to 3600
  --mode MODE      where sessions are kept: file (default), memory, or a redis that is started
  --processes N    server processes on one directory or redis, 1 to 16 (default: 3; in memory always 1)
  --clients N      visitors at a time, each in three tabs, 1 to 64 (default: 4)
  --rate N         requests a second, of all together, 1 to 10000 (default: 300)";

/// Where the sessions of a run are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    File,
    Redis,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) length: Duration,
    pub(crate) kind: Kind,
    pub(crate) processes: usize,
    pub(crate) clients: usize,
    pub(crate) rate: u32,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            length: Duration::from_secs(60),
            kind: Kind::File,
            processes: 3,
            clients: 4,
            rate: 300,
        }
    }
}

impl Args {
    /// # Errors
    /// What is wrong with them, to be shown above the usage.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut args = Self::default();
        let mut words = words.into_iter();
        while let Some(flag) = words.next() {
            let value = words.next().ok_or(format!("{flag} needs a value"))?;
            let number = |from: u64, to: u64| match value.parse() {
                Ok(number) if (from..=to).contains(&number) => Ok(number),
                _ => Err(format!("{flag} is between {from} and {to}, not {value}")),
            };
            match &*flag {
                "--minutes" => args.length = Duration::from_secs(60 * number(1, 60)?),
                "--seconds" => args.length = Duration::from_secs(number(10, 3600)?),
                "--processes" => args.processes = number(1, 16)? as usize,
                "--clients" => args.clients = number(1, 64)? as usize,
                "--rate" => args.rate = number(1, 10_000)? as u32,
                "--mode" => {
                    args.kind = match &*value {
                        "file" => Kind::File,
                        "memory" => Kind::Memory,
                        "redis" => Kind::Redis,
                        _ => return Err(format!("--mode is file, memory or redis, not {value}")),
                    }
                }
                _ => return Err(format!("unknown argument {flag}")),
            }
        }
        if args.kind == Kind::Memory {
            args.processes = 1;
        }
        Ok(args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_run_is_bounded() {
        assert_eq!(parse("").unwrap(), Args::default());
        assert_eq!(parse("--minutes 60").unwrap().length.as_secs(), 3600);
        for line in [
            "--minutes 61",
            "--minutes 0",
            "--seconds 3601",
            "--clients 65",
            "--rate 0",
        ] {
            assert!(parse(line).unwrap_err().contains("between"), "{line}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for line in [
            "--minute 1",
            "5",
            "--mode disk",
            "--minutes",
            "--minutes ten",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn memory_is_of_one_process() {
        assert_eq!(parse("--processes 5 --mode memory").unwrap().processes, 1);
    }
}
