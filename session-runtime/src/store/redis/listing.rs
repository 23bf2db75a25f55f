//! Who has which sessions: the lists, what is on them, and how they are made whole again.
//!
//! A server may lose a list, or a part of one: when it is out of memory and evicts keys, when another one
//! takes its place that lacks the last writes, when somebody restores or deletes something. So there is
//! a mark that all lists are whole, with what each server says of itself. The sweeper looks whether they still say the
//! same; and whoever visits puts their session on its list, sees if it was not there, and takes the mark
//! away. Then all sessions are looked at once, and the mark is set again.

use std::sync::Arc;

use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use redis::{Cmd, Value};

use super::layout;
use super::node::Node;
use super::operations::{known, till};
use super::{Shared, refused, unexpected};
use crate::clock::Timestamp;
use crate::random;
use crate::record::{Key, UserKey};
use crate::store::{Cursor, Entry, Listed, Scanned, StoreError, Swept};

/// How many records are read at once.
const AT_ONCE: usize = 128;

/// What a mark begins with while all lists are whole, and while they are being looked at.
const WHOLE: &[u8] = b"whole ";
const HEALING: &[u8] = b"healing ";

impl Shared {
    /// Puts a session on the list of its user; where it should have been there, this shows whether it was.
    pub(super) async fn put_on_list(
        &self,
        user: UserKey,
        key: Key,
        till: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let script = &self.scripts.place;
        let mut cmd = script.by_hash(160);
        cmd.arg(1)
            .arg(self.keys.user(user))
            .arg(now.as_millis())
            .arg(till.as_millis())
            .arg(&key.0[..]);
        match self.write(script, cmd).await? {
            (Value::Int(added), _) => Ok(added == 1),
            _ => Err(unexpected()),
        }
    }

    /// The same for a session that is there, beside what its request waits for.
    pub(super) fn list_later(
        self: &Arc<Self>,
        user: UserKey,
        key: Key,
        till: Timestamp,
        now: Timestamp,
    ) {
        let shared = Arc::clone(self);
        self.later(async move {
            let put = shared.put_on_list(user, key, till, now);
            if let Ok(true) = shared.in_time(put).await {
                drop(shared.in_time(shared.unmark()).await);
            }
        });
    }

    /// Takes a session that is over off the list, without waiting: what stays on it is looked up in
    /// vain until its time is over. Nobody puts it there again.
    pub(super) fn unlist(self: &Arc<Self>, user: UserKey, key: Key) {
        let shared = Arc::clone(self);
        self.later(async move {
            let mut zrem = Cmd::new();
            zrem.arg("ZREM").arg(shared.keys.user(user)).arg(&key.0[..]);
            drop(shared.in_time(shared.ask(&zrem)).await);
        });
    }

    async fn keys_of(&self, user: UserKey) -> Result<Vec<Key>, StoreError> {
        let mut range = Cmd::new();
        range.arg("ZRANGE").arg(self.keys.user(user)).arg(0).arg(-1);
        let Value::Array(members) = self.ask(&range).await? else {
            return Err(unexpected());
        };
        let key = |member| match member {
            Value::BulkString(bytes) => bytes.try_into().map(Key).map_err(|_| unexpected()),
            _ => Err(unexpected()),
        };
        members.into_iter().map(key).collect()
    }

    pub(super) async fn list(self: Arc<Self>, users: Vec<UserKey>) -> Result<Listed, StoreError> {
        let mut whole = self.is_marked().await?;
        let (_, slices) = match whole {
            true => Default::default(),
            false => self.evidence().await?,
        };
        if let Some(slices) = slices {
            // Servers that are new, or have little, are made whole at once: a slice for each.
            let mut from = Some(Cursor::default());
            for _ in 0..slices {
                if let Some(place) = from {
                    from = self.heal(place).await?.next;
                }
            }
            whole = from.is_none() && self.is_marked().await?;
        }
        // All in one look, or a session that moves from one to the other could be missed.
        let lists = try_join_all(users.iter().map(|&user| self.keys_of(user))).await?;
        let entries = self.lines(lists.concat()).await?;
        Ok(Listed { entries, whole })
    }

    /// The entries under some keys, without their bodies.
    async fn lines(&self, keys: Vec<Key>) -> Result<Vec<(Key, Entry)>, StoreError> {
        let line = async |key| Ok::<_, StoreError>(self.line(key).await?.map(|entry| (key, entry)));
        stream::iter(keys)
            .map(line)
            .buffer_unordered(AT_ONCE)
            .try_filter_map(async |line| Ok(line))
            .try_collect()
            .await
    }

    async fn line(&self, key: Key) -> Result<Option<Entry>, StoreError> {
        let mut start = Cmd::new();
        start
            .arg("GETRANGE")
            .arg(self.keys.record(key))
            .arg(0)
            .arg(layout::LINE - 1);
        let Value::BulkString(bytes) = self.ask(&start).await? else {
            return Err(unexpected());
        };
        match layout::read_line(&bytes) {
            _ if bytes.is_empty() => Ok(None),
            // The note is a long one.
            None if bytes.len() == layout::LINE => self.load(key).await,
            entry => Ok(known(entry)),
        }
    }

    /// Some of the records of all servers, and where to go on.
    pub(super) async fn scan(
        self: Arc<Self>,
        from: Cursor,
        budget: usize,
    ) -> Result<Scanned, StoreError> {
        let Place { node, at } = Place::read(&from.0);
        let nodes = self.route()?.nodes().await.map_err(refused)?;
        let Some(server) = nodes.get(usize::from(node)) else {
            return Ok(Scanned::default());
        };
        let mut scan = Cmd::new();
        scan.arg("SCAN")
            .arg(at)
            .arg("MATCH")
            .arg(self.keys.records())
            .arg("COUNT")
            .arg(budget.max(1));
        let Value::Array(reply) = self.ask_node(server, &scan).await? else {
            return Err(unexpected());
        };
        let [Value::BulkString(next), Value::Array(names)] = &*reply else {
            return Err(unexpected());
        };
        let keys = names.iter().filter_map(|name| match name {
            Value::BulkString(name) => self.keys.key_of(name),
            _ => None,
        });
        let entries = self.lines(keys.collect()).await?;
        let next: u64 = std::str::from_utf8(next)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(unexpected)?;
        let next = match next {
            0 if usize::from(node) + 1 == nodes.len() => None,
            0 => Some(Place {
                node: node + 1,
                at: 0,
            }),
            at => Some(Place { node, at }),
        };
        Ok(Scanned {
            entries,
            next: next.map(|place| Cursor(place.to_bytes().to_vec())),
        })
    }

    async fn ask_node(&self, node: &Node, cmd: &Cmd) -> Result<Value, StoreError> {
        let again = std::sync::atomic::AtomicBool::new(false);
        let request = super::servers::Request {
            asking: false,
            cmd,
            wait: None,
            again: &again,
        };
        let (value, _) = node.ask(request).await.map_err(refused)?;
        Ok(value)
    }

    /// What the servers say of themselves that is another thing once one of them has lost something: which run of
    /// which server each is, and how many keys it has evicted. And how many servers there are, if none has more keys
    /// than a slice looks at.
    async fn evidence(&self) -> Result<(Vec<u8>, Option<usize>), StoreError> {
        let mut evidence = WHOLE.to_vec();
        let nodes = self.route()?.nodes().await.map_err(refused)?;
        let mut is_small = true;
        for node in &nodes {
            let Value::BulkString(info) = self.ask_node(node, &redis::cmd("INFO")).await? else {
                return Err(unexpected());
            };
            for line in String::from_utf8_lossy(&info).lines() {
                let is_evidence = |name| line.strip_prefix(name).is_some();
                if is_evidence("run_id:") || is_evidence("evicted_keys:") {
                    evidence.extend_from_slice(line.as_bytes());
                    evidence.push(b' ');
                }
                // As in `db0:keys=5,expires=5,avg_ttl=0`.
                let keys = line.split_once(":keys=").filter(|_| line.starts_with("db"));
                let count = keys.and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
                is_small &= count.is_none_or(|count: usize| count <= LOOKS);
            }
        }
        Ok((evidence, is_small.then_some(nodes.len())))
    }

    async fn mark(&self) -> Result<Vec<u8>, StoreError> {
        let mut get = Cmd::new();
        match self.ask(get.arg("GET").arg(self.keys.mark())).await? {
            Value::BulkString(mark) => Ok(mark),
            Value::Nil => Ok(Vec::new()),
            _ => Err(unexpected()),
        }
    }

    async fn is_marked(&self) -> Result<bool, StoreError> {
        Ok(self.mark().await?.starts_with(WHOLE))
    }

    async fn unmark(&self) -> Result<(), StoreError> {
        let mut del = Cmd::new();
        self.ask(del.arg("DEL").arg(self.keys.mark()))
            .await
            .map(drop)
    }

    /// A slice of a round in which every session is put on the list that lacks it. A round begins where there is
    /// reason to, and no other process is at it; else this looks whether that is so, and no more.
    pub(super) async fn heal(self: &Arc<Self>, from: Cursor) -> Result<Swept, StoreError> {
        let over = Swept::default();
        let (mark, place) = match from.0.split_at_checked(MARK_LEN) {
            Some((mark, place)) => (mark.to_vec(), Cursor(place.to_vec())),
            None => {
                let mark = self.mark().await?;
                if mark.starts_with(HEALING) || mark == self.evidence().await?.0 {
                    return Ok(over);
                }
                let mark = [HEALING, &random::bytes::<8>()?[..]].concat();
                let mut set = Cmd::new();
                set.arg("SET").arg(self.keys.mark()).arg(&mark);
                self.ask(set.arg("PX").arg(ROUND_LASTS)).await?;
                (mark, Cursor::default())
            }
        };
        // Whoever finds a session that is not on its list takes the mark away: then all begins again.
        let extend = &self.scripts.extend;
        let mut cmd = extend.by_hash(96);
        cmd.arg(1).arg(self.keys.mark()).arg(&mark).arg(ROUND_LASTS);
        if let Value::Int(0) = self.run(extend, cmd).await? {
            return Ok(over);
        }
        let Scanned { entries, next } = Arc::clone(self).scan(place, LOOKS).await?;
        let mut put = Vec::new();
        for (key, entry) in &entries {
            if let Some((head, user)) = entry.head().and_then(|head| Some((head, head.user?))) {
                put.push(self.put_on_list(user, *key, till(head, head.seen), head.seen));
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
                .arg(self.keys.mark())
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
}

/// About how many records a slice looks at.
const LOOKS: usize = 1000;
/// How long the mark of a round lasts behind its last slice, in ms: whoever began it may have been killed.
const ROUND_LASTS: u64 = 30_000;
/// How long the mark of a round is.
const MARK_LEN: usize = HEALING.len() + 8;

/// A place in a scan: which server, and where there.
struct Place {
    node: u16,
    at: u64,
}

impl Place {
    fn to_bytes(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..2].copy_from_slice(&self.node.to_le_bytes());
        bytes[2..].copy_from_slice(&self.at.to_le_bytes());
        bytes
    }

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
