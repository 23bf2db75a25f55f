//! A walk through the records of all servers, slice by slice.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use redis::{Cmd, Value};

use super::backend::Backend;
use super::connection::Command;
use super::failure::{failed, unexpected};
use super::node::Node;
use crate::store::{Cursor, Scanned, StoreError};

/// A position in the walk, which a cursor holds as bytes.
struct ScanPosition {
    /// The number of the server.
    node: u16,
    /// The cursor of `SCAN` on that server.
    at: u64,
}

impl ScanPosition {
    fn to_bytes(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..2].copy_from_slice(&self.node.to_le_bytes());
        bytes[2..].copy_from_slice(&self.at.to_le_bytes());
        bytes
    }

    /// Reads a position. Bytes that are no position are the beginning.
    fn read(bytes: &[u8]) -> Self {
        let mut whole = [0; 10];
        if bytes.len() == whole.len() {
            whole.copy_from_slice(bytes);
        }
        let ([low, high], at) = ([whole[0], whole[1]], whole[2..].try_into());
        Self {
            node: u16::from_le_bytes([low, high]),
            at: u64::from_le_bytes(at.unwrap_or_default()),
        }
    }
}

impl Backend {
    /// Loads about `budget` records from a cursor on, without their bodies, and returns the next cursor.
    pub(super) async fn scan(
        self: Arc<Self>,
        from: Cursor,
        budget: usize,
    ) -> Result<Scanned, StoreError> {
        let ScanPosition { node, at } = ScanPosition::read(&from.0);
        let nodes = self.route()?.nodes().await.map_err(failed)?;
        let Some(server) = nodes.get(usize::from(node)) else {
            return Ok(Scanned::default());
        };
        let mut scan = Cmd::new();
        scan.arg("SCAN")
            .arg(at)
            .arg("MATCH")
            .arg(self.names.records())
            .arg("COUNT")
            .arg(budget.max(1));
        let Value::Array(reply) = ask_node(server, &scan).await? else {
            return Err(unexpected());
        };
        let [Value::BulkString(next), Value::Array(names)] = &*reply else {
            return Err(unexpected());
        };
        let keys = names.iter().filter_map(|name| match name {
            Value::BulkString(name) => self.names.key_of(name),
            _ => None,
        });
        let entries = self.load_starts(keys.collect()).await?;
        let next: u64 = std::str::from_utf8(next)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(unexpected)?;
        let next = match next {
            0 if usize::from(node) + 1 == nodes.len() => None,
            0 => Some(ScanPosition {
                node: node + 1,
                at: 0,
            }),
            at => Some(ScanPosition { node, at }),
        };
        Ok(Scanned {
            entries,
            next: next.map(|position| Cursor(position.to_bytes().to_vec())),
        })
    }
}

/// Sends a command to one server, whichever keys it has.
pub(super) async fn ask_node(node: &Node, cmd: &Cmd) -> Result<Value, StoreError> {
    let command = Command {
        asking: false,
        cmd,
        wait: None,
        resent: &AtomicBool::new(false),
    };
    let (value, _) = node.ask(command).await.map_err(failed)?;
    Ok(value)
}
