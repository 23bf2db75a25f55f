//! Where the sessions of a run are kept, and what is there.

use std::path::PathBuf;
use std::time::Duration;

use bsession_redis_servers::Server;
use redis::Value;
use tempfile::TempDir;

use crate::args::Kind;
use crate::machine;

pub(crate) enum Place {
    Memory,
    Files { path: PathBuf, _temporary: TempDir },
    Redis(Server),
}

impl Place {
    pub(crate) fn new(kind: Kind) -> std::io::Result<Self> {
        Ok(match kind {
            Kind::Memory => Self::Memory,
            Kind::File => {
                let temporary = tempfile::tempdir()?;
                Self::Files {
                    path: temporary.path().join("sessions"),
                    _temporary: temporary,
                }
            }
            Kind::Redis => Self::Redis(Server::start()),
        })
    }

    /// What a server is told: the address of a Redis, a path, or nothing.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Memory => String::new(),
            Self::Files { path, .. } => path.display().to_string(),
            Self::Redis(server) => server.url(),
        }
    }

    /// How many files or keys there are.
    pub(crate) fn entries(&self) -> u64 {
        match self {
            Self::Memory => 0,
            Self::Files { path, .. } => machine::files(path),
            Self::Redis(server) => match server.command(&["DBSIZE"]) {
                Value::Int(keys) => keys.unsigned_abs(),
                other => panic!("DBSIZE is {other:?}"),
            },
        }
    }

    /// How long the lock of a killed server may last: in Redis half a minute, and some room.
    pub(crate) fn lease(&self) -> Duration {
        match self {
            Self::Redis(_) => Duration::from_secs(30 + 1),
            Self::Memory | Self::Files { .. } => Duration::ZERO,
        }
    }

    /// How many descriptors of a server it takes once it was asked: a connection for each of two workers.
    pub(crate) fn descriptors(&self) -> u64 {
        match self {
            Self::Redis(_) => 2,
            Self::Memory | Self::Files { .. } => 0,
        }
    }
}
