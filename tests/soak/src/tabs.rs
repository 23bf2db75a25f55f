//! The tabs of a visitor: each with connections of its own to every server.

use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::fleet::Life;
use crate::op::{Done, Op, Shown};
use crate::world::World;

/// How long a request looks for a server that listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// The tokens that a visitor has.
#[derive(Clone, Copy)]
pub(crate) struct Tokens<'t> {
    pub(crate) current: Option<&'t str>,
    pub(crate) previous: Option<&'t str>,
}

impl<'t> Tokens<'t> {
    pub(crate) const NONE: Self = Self {
        current: None,
        previous: None,
    };

    pub(crate) fn only(token: &'t str) -> Self {
        Self {
            current: Some(token),
            ..Self::NONE
        }
    }
}

pub(crate) struct Tab {
    number: usize,
    open: Vec<(Life, Connection)>,
}

impl Tab {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            number,
            open: Vec::new(),
        }
    }

    /// Does it at any of the servers.
    pub(crate) fn run(&mut self, world: &World, op: Op, tokens: Tokens<'_>) -> Done {
        let path = op.path(self.number);
        let forged = tokens.current.map(forge).unwrap_or_default();
        let cookies: Vec<&str> = match &op {
            Op::Read(Shown::Forged) => vec![&forged],
            Op::Read(Shown::BehindGarbage) => {
                ["garbage", ""].into_iter().chain(tokens.current).collect()
            }
            Op::LogoutByPrevious => tokens.previous.into_iter().collect(),
            // It comes from outside of the session.
            Op::Revoke { .. } => Vec::new(),
            _ => tokens.current.into_iter().collect(),
        };
        let (life, mut connection) = self.connection(world);
        let sent = Instant::now();
        let answered = match &op {
            Op::HangUp(_) | Op::Half => {
                // Whatever arrives of it is in doubt either way.
                let _ = connection.hang_up(&path, &cookies, op != Op::Half);
                None
            }
            _ => connection
                .ask(op.method(), &path, &cookies)
                .ok()
                .map(|answer| {
                    self.open.push((life.clone(), connection));
                    (Instant::now(), answer)
                }),
        };
        Done {
            tab: self.number,
            op,
            sent,
            answered,
            excused: !world.lives.all().contains(&life),
            life,
        }
    }

    /// A connection to a server that listens, whichever it is.
    fn connection(&mut self, world: &World) -> (Life, Connection) {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let lives = world.lives.all();
            self.open.retain(|(life, _)| lives.contains(life));
            let Some(life) = fastrand::choice(&lives) else {
                std::thread::sleep(Duration::from_millis(10));
                continue;
            };
            if let Some(place) = self.open.iter().position(|(open, _)| open == life) {
                return self.open.swap_remove(place);
            }
            if let Ok(connection) = Connection::open(life.address) {
                return (life.clone(), connection);
            }
        }
        panic!("no server listens");
    }
}

/// The token with one character changed.
fn forge(token: &str) -> String {
    let mut forged = token.as_bytes().to_vec();
    if let Some(byte) = fastrand::choice(&mut forged) {
        *byte = if *byte == b'A' { b'B' } else { b'A' };
    }
    String::from_utf8_lossy(&forged).into_owned()
}
