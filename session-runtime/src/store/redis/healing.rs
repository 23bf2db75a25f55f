//! The healing of lists: a loss is noticed, and the sessions are put back.
//!
//! A server can lose a list or a part of it. It may evict keys because it is out of memory; a server that lacks
//! the last writes may take its place; somebody may restore or delete data. Three things work against that:
//!
//! - The *mark* is a key that says that all lists are whole. It holds the *evidence*: what each server said of
//!   itself at that time.
//! - The sweeper compares the mark with the evidence of now. If they differ, it begins a *round*, which looks at
//!   all sessions once, puts each of them on its list, and then writes the mark.
//! - Each visit that moves the expiry of a session puts it on its list. If it was missing there, the visit deletes the
//!   mark, so that a new round begins.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use redis::{Cmd, Value};

use super::backend::Backend;
use super::failure::{failed, unexpected};
use super::lists::listed_until;
use super::records::AT_ONCE;
use super::scan::ask_node;
use crate::random;
use crate::store::{Cursor, Scanned, StoreError, Swept};

/// The beginning of the mark while all lists are whole.
const WHOLE: &[u8] = b"whole ";
/// The beginning of the mark during a round.
const HEALING: &[u8] = b"healing ";
/// The length of the mark during a round: its beginning, and eight random bytes that tell the round from others.
const MARK_LEN: usize = HEALING.len() + 8;

/// The time that the mark of a round lasts after its last slice, in ms. A process that is killed leaves its
/// round unfinished, and then another process may begin one.
const ROUND_LASTS: u64 = 30_000;
/// About how many records one slice of a round looks at.
const SLICE: usize = 1000;

impl Backend {
    /// Collects the evidence: which run of which server each one is, and how many keys it has evicted. This changes
    /// whenever a server may have lost something.
    ///
    /// Also returns the number of servers, if no server has more keys than one slice looks at.
    pub(super) async fn evidence(&self) -> Result<(Vec<u8>, Option<usize>), StoreError> {
        let mut evidence = WHOLE.to_vec();
        let nodes = self.route()?.nodes().await.map_err(failed)?;
        let mut is_small = true;
        for node in &nodes {
            let Value::BulkString(info) = ask_node(node, &redis::cmd("INFO")).await? else {
                return Err(unexpected());
            };
            for line in String::from_utf8_lossy(&info).lines() {
                let is_evidence = |name| line.strip_prefix(name).is_some();
                if is_evidence("run_id:") || is_evidence("evicted_keys:") {
                    evidence.extend_from_slice(line.as_bytes());
                    evidence.push(b' ');
                }
                // The line of a database looks like `db0:keys=5,expires=5,avg_ttl=0`.
                let keys = line.split_once(":keys=").filter(|_| line.starts_with("db"));
                let count = keys.and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
                is_small &= count.is_none_or(|count: usize| count <= SLICE);
            }
        }
        Ok((evidence, is_small.then_some(nodes.len())))
    }

    async fn mark(&self) -> Result<Vec<u8>, StoreError> {
        let mut get = Cmd::new();
        match self.ask(get.arg("GET").arg(self.names.mark())).await? {
            Value::BulkString(mark) => Ok(mark),
            Value::Nil => Ok(Vec::new()),
            _ => Err(unexpected()),
        }
    }

    /// True if the mark says that all lists are whole.
    pub(super) async fn is_marked(&self) -> Result<bool, StoreError> {
        Ok(self.mark().await?.starts_with(WHOLE))
    }

    /// Deletes the mark, so that a new round begins.
    pub(super) async fn unmark(&self) -> Result<(), StoreError> {
        let mut del = Cmd::new();
        self.ask(del.arg("DEL").arg(self.names.mark()))
            .await
            .map(drop)
    }

    /// Does one slice of a round.
    ///
    /// At the default cursor it begins a round, but only if the evidence has changed and no other process has
    /// begun one.
    pub(super) async fn heal(self: &Arc<Self>, from: Cursor) -> Result<Swept, StoreError> {
        let over = Swept::default();
        let (mark, cursor) = match from.0.split_at_checked(MARK_LEN) {
            Some((mark, cursor)) => (mark.to_vec(), Cursor(cursor.to_vec())),
            None => match self.begin_round().await? {
                Some(mark) => (mark, Cursor::default()),
                None => return Ok(over),
            },
        };
        // A visit that finds its session missing on a list deletes the mark: then this round ends, and another begins.
        let extend = &self.scripts.extend;
        let mut cmd = extend.by_hash(96);
        cmd.arg(1)
            .arg(self.names.mark())
            .arg(&mark)
            .arg(ROUND_LASTS);
        if let Value::Int(0) = self.run(extend, cmd).await? {
            return Ok(over);
        }
        let Scanned { entries, next } = Arc::clone(self).scan(cursor, SLICE).await?;
        let mut put = Vec::new();
        for (key, entry) in &entries {
            if let Some((head, user)) = entry.head().and_then(|head| Some((head, head.user?))) {
                let until = listed_until(head, head.seen);
                put.push(self.put_on_list(user, *key, until, head.seen));
            }
        }
        let mut put = stream::iter(put).buffer_unordered(AT_ONCE);
        while let Some(done) = put.next().await {
            done?;
        }
        let Some(next) = next else {
            let script = &self.scripts.mark;
            let mut cmd = script.by_hash(200);
            cmd.arg(1)
                .arg(self.names.mark())
                .arg(&mark)
                .arg(self.evidence().await?.0);
            self.run(script, cmd).await?;
            return Ok(over);
        };
        Ok(Swept {
            deleted: 0,
            next: Some(Cursor([mark, next.0].concat())),
        })
    }

    /// Begins a round and returns its mark; `None` if there is no reason for one, or if another process has begun one.
    async fn begin_round(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let mark = self.mark().await?;
        if mark.starts_with(HEALING) || mark == self.evidence().await?.0 {
            return Ok(None);
        }
        let mark = [HEALING, &random::bytes::<8>()?[..]].concat();
        let mut set = Cmd::new();
        set.arg("SET").arg(self.names.mark()).arg(&mark);
        self.ask(set.arg("PX").arg(ROUND_LASTS)).await?;
        Ok(Some(mark))
    }
}
