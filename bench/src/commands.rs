//! The commands that Redis carries out: those of clients, and those that scripts give.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
};

use crate::{
    Result,
    redis::{self, Redis},
};

/// Stands for the end in what Redis tells to who watches.
const END: &str = "bsession-bench-end";

/// How often each command came.
#[derive(Default)]
pub(crate) struct Commands(BTreeMap<(Giver, String), u64>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Giver {
    Client,
    Script,
}

impl Commands {
    pub(crate) fn of(&self, giver: Giver) -> impl Iterator<Item = (&str, u64)> {
        let these = self.0.iter().filter(move |((who, _), _)| *who == giver);
        these.map(|((_, name), count)| (name.as_str(), *count))
    }
}

/// A look at every command from here on.
pub(crate) struct Watch(BufReader<TcpStream>);

impl Watch {
    pub(crate) fn begin(redis: &Redis) -> Result<Self> {
        let mut line = redis::connect(&redis.server)?;
        line.get_mut().write_all(b"MONITOR\r\n")?;
        let mut answer = String::new();
        line.read_line(&mut answer)?;
        match answer.as_str() {
            "+OK\r\n" => Ok(Self(line)),
            _ => Err(format!("Redis answered {answer:?}").into()),
        }
    }

    pub(crate) fn end(self, redis: &mut Redis) -> Result<Commands> {
        redis.ask(&["ECHO", END])?;
        let mut commands = Commands::default();
        for line in self.0.split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            if line.contains(END) {
                return Ok(commands);
            }
            let given = parse(&line).ok_or_else(|| format!("Redis tells of {line:?}"))?;
            *commands.0.entry(given).or_default() += 1;
        }
        Err("Redis is gone".into())
    }
}

/// `+1700000000.000001 [0 127.0.0.1:50000] "GET" "key"`; for the address stands `lua` in a script, which gives its
/// commands in the case that it likes.
fn parse(line: &str) -> Option<(Giver, String)> {
    let (_, rest) = line.split_once(" [")?;
    let (whose, rest) = rest.split_once("] \"")?;
    let (name, _) = rest.split_once('"')?;
    let giver = match whose.split_once(' ')?.1 {
        "lua" => Giver::Script,
        _ => Giver::Client,
    };
    Some((giver, name.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::{Giver, parse};

    #[test]
    fn what_a_script_does_is_told_from_what_a_client_asks() {
        let client = r#"+1700000000.000001 [0 127.0.0.1:50000] "EVALSHA" "abc" "1" "] \"GET\"""#;
        let script = r#"+1700000000.000002 [0 lua] "get" "key""#;
        assert_eq!(parse(client), Some((Giver::Client, "EVALSHA".to_owned())));
        assert_eq!(parse(script), Some((Giver::Script, "GET".to_owned())));
        assert_eq!(parse("+OK"), None);
    }
}
