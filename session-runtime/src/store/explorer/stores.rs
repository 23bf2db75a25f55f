//! The stores at the other end of the wire. They differ in the operations that they do in one step.

use std::sync::Arc;

use super::cell::{Cell, CompactSession, Set, key as key_of, members, moment, second};
use super::manner::Flaw;
use super::wire::{StoreCall, StoreReply, Wire};
use crate::clock::Timestamp;
use crate::record::{Head, Key, Record, Revision, UserKey};
use crate::store::{
    Answer, Cursor, Ending, Entry, Expected, Listed, Scanned, Store, StoreError, Swap, Which,
    Whose, is_renewed_to, renew_by_swaps,
};

/// The operations that a store does in one step beyond the four required ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Steps {
    /// No other operation: all others are the provided ones.
    Few,
    /// A touch and an end, as in a Redis cluster.
    Ends,
    /// A renewal, too, as in the memory store.
    All,
    /// No other operation, and a renewal that has the flaw of the scene.
    Flawed,
}

pub(super) fn store(steps: Steps, wire: &Arc<Wire>) -> Arc<dyn Store> {
    let wire = Arc::clone(wire);
    match steps {
        Steps::Few => Arc::new(FewStore(wire)),
        Steps::Ends => Arc::new(EndsStore(wire)),
        Steps::All => Arc::new(AllStore(wire)),
        Steps::Flawed => Arc::new(FlawedStore(wire)),
    }
}

struct FewStore(Arc<Wire>);
struct EndsStore(Arc<Wire>);
struct AllStore(Arc<Wire>);
struct FlawedStore(Arc<Wire>);

macro_rules! required {
    () => {
        fn load(&self, key: Key) -> Answer<'_, Option<Entry>> {
            Answer::later(load(&self.0, key))
        }

        fn swap(
            &self,
            key: Key,
            expected: Expected,
            entry: Option<Entry>,
            now: Timestamp,
        ) -> Answer<'_, Swap> {
            Answer::later(swap(&self.0, key, expected, entry, now))
        }

        fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed> {
            Answer::later(list(&self.0, users))
        }

        fn scan(&self, _: Cursor, _: usize) -> Answer<'_, Scanned> {
            Answer::later(scan(&self.0))
        }
    };
}

macro_rules! in_one_step {
    () => {
        fn touch(&self, key: Key, head: Head, now: Timestamp) -> Answer<'_, ()> {
            Answer::later(touch(&self.0, key, head, now))
        }

        fn end<'a>(
            &'a self,
            key: Key,
            whose: Option<Whose<'a>>,
            now: Timestamp,
        ) -> Answer<'a, Ending> {
            Answer::later(end(&self.0, key, whose, now))
        }
    };
}

impl Store for FewStore {
    required!();
}

impl Store for EndsStore {
    required!();
    in_one_step!();
}

impl Store for AllStore {
    required!();
    in_one_step!();

    fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        Answer::later(renew(&self.0, old, over, new, record, now))
    }

    fn renews_at_once(&self) -> bool {
        true
    }
}

impl Store for FlawedStore {
    required!();

    fn renew(
        &self,
        old: Key,
        over: Revision,
        new: Key,
        record: Record,
        now: Timestamp,
    ) -> Answer<'_, Swap> {
        Answer::later(renew_flawed(self, old, over, new, record, now))
    }
}

fn number(key: Key) -> u8 {
    key.0[0]
}

fn set(users: &[UserKey]) -> Set {
    users.iter().fold(0, |set, user| set | 1 << user.0[0])
}

async fn load(wire: &Wire, key: Key) -> Result<Option<Entry>, StoreError> {
    match wire.ask(StoreCall::Load(number(key))).await? {
        StoreReply::Found(cell) => Ok(cell.map(|cell| cell.entry(true))),
        other => panic!("{other:?} answers no load"),
    }
}

async fn swap(
    wire: &Wire,
    key: Key,
    expected: Expected,
    entry: Option<Entry>,
    now: Timestamp,
) -> Result<Swap, StoreError> {
    let key = number(key);
    let cell = entry.as_ref().map(Cell::of);
    let user = cell.and_then(Cell::session).map_or(0, |it| it.user);
    let enlist = async |is_now: bool| -> Result<(), StoreError> {
        if is_now && wire.manner.apart && user != 0 {
            wire.ask(StoreCall::Enlist { user, key }).await?;
        }
        Ok(())
    };
    let is_last = wire.manner.is_flawed(Flaw::ListedLast);
    enlist(!is_last).await?;
    let now = second(now);
    let swap = wire.ask(StoreCall::Swap {
        key,
        expected,
        cell,
        now,
    });
    let swap = swap.await?.swap();
    enlist(is_last).await?;
    Ok(swap)
}

async fn list(wire: &Wire, users: &[UserKey]) -> Result<Listed, StoreError> {
    let users = set(users);
    let manner = wire.manner;
    let step = |among| StoreCall::List { users, among };
    let mut listed = Listed {
        entries: Vec::new(),
        whole: true,
    };
    if manner.is_flawed(Flaw::UserByUser) {
        for user in members(users) {
            let (users, among) = (1 << user, wire.keys);
            let reply = wire.ask(StoreCall::List { users, among }).await?;
            listed.entries.extend(entries(reply).entries);
        }
        return Ok(listed);
    }
    if !manner.walks {
        return Ok(entries(wire.ask(step(wire.keys)).await?));
    }
    let mut names_read = 0;
    // A directory has no order, so a new key may come before an old one.
    for key in members(wire.keys).rev() {
        let reply = wire.ask(step(1 << key)).await?;
        if let (StoreReply::Listed { names, .. }, true) = (&reply, manner.names_first) {
            names_read |= names;
        } else {
            let of_key = entries(reply);
            listed.entries.extend(of_key.entries);
            listed.whole &= of_key.whole;
        }
    }
    for key in members(names_read).rev() {
        let key = key_of(key);
        let entry = load(wire, key).await?;
        listed.entries.extend(entry.map(|entry| (key, entry)));
    }
    Ok(listed)
}

async fn scan(wire: &Wire) -> Result<Scanned, StoreError> {
    if !wire.manner.walks {
        let reply = wire.ask(StoreCall::Scan { among: wire.keys }).await?;
        return Ok(Scanned {
            entries: entries(reply).entries,
            next: None,
        });
    }
    let mut scanned = Vec::new();
    for key in members(wire.keys).rev() {
        let reply = wire.ask(StoreCall::Scan { among: 1 << key }).await?;
        scanned.extend(entries(reply).entries);
    }
    Ok(Scanned {
        entries: scanned,
        next: None,
    })
}

fn entries(reply: StoreReply) -> Listed {
    match reply {
        StoreReply::Listed { entries, whole, .. } => Listed {
            entries: entries
                .into_iter()
                .map(|(key, cell)| (key_of(key), cell.entry(false)))
                .collect(),
            whole,
        },
        other => panic!("{other:?} answers no list"),
    }
}

async fn touch(wire: &Wire, key: Key, head: Head, now: Timestamp) -> Result<(), StoreError> {
    let touch = wire.ask(StoreCall::Touch {
        key: number(key),
        over: head.revision,
        expires: second(head.expires),
        seen: second(head.seen),
        now: second(now),
    });
    touch.await.map(drop)
}

async fn end(
    wire: &Wire,
    key: Key,
    whose: Option<Whose<'_>>,
    now: Timestamp,
) -> Result<Ending, StoreError> {
    let end = wire.ask(StoreCall::End {
        key: number(key),
        users: whose.map(|whose| set(whose.users)),
        which: whose.map_or(Which::All, |whose| whose.which),
        now: second(now),
    });
    Ok(end.await?.ending())
}

async fn renew(
    wire: &Wire,
    old: Key,
    over: Revision,
    new: Key,
    record: Record,
    now: Timestamp,
) -> Result<Swap, StoreError> {
    let session = CompactSession::of(&record);
    let (old, new) = (number(old), number(new));
    if wire.manner.apart && session.user != 0 {
        let (user, key) = (session.user, new);
        wire.ask(StoreCall::Enlist { user, key }).await?;
    }
    let renew = wire.ask(StoreCall::Renew {
        old,
        over,
        new,
        session,
        now: second(now),
    });
    Ok(renew.await?.swap())
}

/// Renews a session, with a flaw in the undo.
async fn renew_flawed(
    store: &FlawedStore,
    old: Key,
    over: Revision,
    new: Key,
    record: Record,
    now: Timestamp,
) -> Result<Swap, StoreError> {
    let own = Expected::At(record.head.revision);
    if store.0.manner.is_flawed(Flaw::UndoAfterError) {
        let renewal = renew_by_swaps(store, old, over, new, record, now).await;
        if renewal.is_err() {
            drop(store.swap(new, own, None, now).await?);
        }
        return renewal;
    }
    let created = Some(Entry::Live(record));
    let Swap::Done = store.swap(new, Expected::Nothing, created, now).await? else {
        return Err(StoreError::Taken);
    };
    let ended = |successor| {
        let at = moment(second(now));
        Some(Entry::Ended { at, successor })
    };
    let swap = store
        .swap(old, Expected::At(over), ended(Some(new)), now)
        .await?;
    if let Swap::Found(found) = &swap
        && !is_renewed_to(found.as_ref(), new)
    {
        drop(store.swap(new, own, ended(None), now).await?);
    }
    Ok(swap)
}
