//! The actors. They use a ledger as the service does: the same calls in the same order, with the same retries.

use std::sync::Arc;
use std::time::Duration;

use super::act::{Act, ActorEvent, Meant, Seen};
use super::cell::{CompactSession, Set, handle, has, key, moment, second, user_key, user_keys};
use super::wire::Wire;
use crate::clock::Timestamp;
use crate::record::{Body, Head, Record, Revision};
use crate::store::{Commit, Cursor, Ledger, Loaded, StoreError, Whose};

/// An actor, and all that it needs.
pub(super) struct Actor {
    pub(super) ledger: Ledger,
    pub(super) wire: Arc<Wire>,
    /// The number of the actor.
    pub(super) me: u8,
    /// The seconds that a session lives after a visit.
    pub(super) idle: u32,
}

type ActResult = Result<(), StoreError>;

impl Actor {
    pub(super) async fn act(self, act: Act) -> ActResult {
        match act {
            Act::Update(key) => self.update(key).await,
            Act::Touch(key) => self.touch(key).await,
            Act::Visit(key) => self.visit(key).await,
            Act::Renew { from, new } => self.renew(from, new, None, None).await,
            Act::Login {
                from,
                new,
                user,
                fresh,
            } => self.renew(from, new, Some(user), Some(fresh)).await,
            Act::LoginTwice {
                from,
                new,
                user,
                then,
            } => match self.renew(from, new, Some(user), None).await {
                Ok(()) => Ok(()),
                Err(_) => self.renew(from, then, Some(user), None).await,
            },
            Act::Create { new, fresh, user } => self.create(None, [new, fresh], user).await,
            Act::Move { from, user } => self.move_to(from, user).await,
            Act::Purge(key) => self.purge(key).await,
            Act::Revoke { users, which } => self.revoke(users, which).await,
            Act::List(user) => self.list(user).await,
            Act::Sweep(rounds) => self.sweep(rounds).await,
        }
    }

    async fn open(&self, number: u8) -> Result<Option<Record>, StoreError> {
        let now = self.wire.now().await;
        match self.ledger.load(key(number), now).await? {
            Loaded::Live(record) => Ok(Some(record)),
            Loaded::Retired | Loaded::Nothing => Ok(None),
        }
    }

    /// Returns a unique revision.
    fn revision(&self, number: u64, attempt: u64) -> Revision {
        Revision {
            number,
            tag: u64::from(self.me + 1) * 64 + attempt,
        }
    }

    /// Returns the record that follows `latest`, with an expiry that never moves back.
    fn next(&self, latest: &Record, now: Timestamp, attempt: u64) -> Record {
        Record {
            head: Head {
                revision: self.revision(latest.head.revision.number + 1, attempt),
                expires: latest.head.expires.max(self.expiry(now)),
                seen: now,
                ..latest.head
            },
            ..latest.clone()
        }
    }

    fn expiry(&self, now: Timestamp) -> Timestamp {
        now + Duration::from_secs(self.idle.into())
    }

    async fn update(&self, number: u8) -> ActResult {
        let Some(mut latest) = self.open(number).await? else {
            return Ok(());
        };
        // The handler has run in the meantime.
        let now = self.wire.now().await;
        for attempt in 0.. {
            let mut session = CompactSession::of(&self.next(&latest, now, attempt));
            session.data += 1 << (4 * self.me);
            let record = Record {
                head: session.head(),
                body: Body::from_bytes(session.data.to_le_bytes()),
                summary: None,
            };
            let over = latest.head.revision;
            match self.ledger.commit(key(number), over, record, now).await? {
                Commit::Saved => {
                    self.wire.tell(ActorEvent::Updated {
                        session: session.session,
                    });
                    break;
                }
                Commit::Conflict(other) => latest = other,
                Commit::Gone => break,
            }
        }
        Ok(())
    }

    async fn touch(&self, number: u8) -> ActResult {
        let Some(latest) = self.open(number).await? else {
            return Ok(());
        };
        let now = self.wire.now().await;
        let head = Head {
            expires: self.expiry(now),
            seen: now,
            ..latest.head
        };
        self.ledger.touch(key(number), head, now).await
    }

    async fn visit(&self, number: u8) -> ActResult {
        let now = self.wire.now().await;
        let seen = match self.ledger.load(key(number), now).await? {
            Loaded::Live(_) => Seen::Live,
            Loaded::Retired => Seen::Retired,
            Loaded::Nothing => Seen::Nothing,
        };
        self.wire.tell(ActorEvent::Opened { key: number, seen });
        Ok(())
    }

    /// Renews a session, or logs `user` in. After a conflict it tries again with the same new key, as the service does.
    async fn renew(&self, old: u8, new: u8, user: Option<u8>, fresh: Option<u8>) -> ActResult {
        let Some(mut latest) = self.open(old).await? else {
            return Ok(());
        };
        let now = self.wire.now().await;
        for attempt in 0.. {
            let mut record = self.next(&latest, now, u64::from(new) * 4 + attempt);
            if let Some(user) = user {
                record.head.user = Some(user_key(user));
            }
            let over = latest.head.revision;
            let renewal = self.ledger.renew(key(old), over, key(new), record, now);
            match renewal.await? {
                Commit::Saved => {
                    self.wire.tell(ActorEvent::Sent {
                        old: Some(old),
                        new,
                    });
                    break;
                }
                Commit::Conflict(other) => latest = other,
                Commit::Gone => {
                    if let (Some(user), Some(fresh)) = (user, fresh) {
                        return self.create(Some(old), [new, fresh], user).await;
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    /// Creates a session under the first of the keys that is free.
    ///
    /// If `old` had ended before it could be renewed, this session replaces it, and the first key is the one that was
    /// made for the renewal.
    async fn create(&self, old: Option<u8>, keys: [u8; 2], user: u8) -> ActResult {
        let now = self.wire.now().await;
        for new in keys {
            let session = CompactSession {
                session: 4 + self.me,
                user,
                number: 1,
                tag: u16::from(self.me + 1) * 256 + u16::from(new),
                expires: second(self.expiry(now)),
                seen: second(now),
                data: 0,
            };
            let record = Record {
                head: session.head(),
                summary: None,
                body: Body::from_bytes(session.data.to_le_bytes()),
            };
            if self.ledger.create(key(new), record, now).await? {
                self.wire.tell(ActorEvent::Sent { old, new });
                return Ok(());
            }
        }
        Err(StoreError::Other("every new key is taken".into()))
    }

    async fn move_to(&self, number: u8, user: u8) -> ActResult {
        let Some(mut latest) = self.open(number).await? else {
            return Ok(());
        };
        let now = self.wire.now().await;
        for attempt in 0.. {
            let mut record = self.next(&latest, now, attempt);
            record.head.user = Some(user_key(user));
            let over = latest.head.revision;
            match self.ledger.commit(key(number), over, record, now).await? {
                Commit::Conflict(other) => latest = other,
                Commit::Saved | Commit::Gone => break,
            }
        }
        Ok(())
    }

    async fn purge(&self, number: u8) -> ActResult {
        let now = self.wire.now().await;
        self.ledger.remove(key(number), &[], now).await?;
        self.wire.tell(ActorEvent::Removed { key: number });
        Ok(())
    }

    async fn revoke(&self, users: Set, which: Meant) -> ActResult {
        let users = user_keys(users);
        let whose = Whose {
            users: &users,
            which: which.which(),
        };
        let now = self.wire.now().await;
        let listed = self.ledger.on_list(whose).await?;
        let is_whole = match which {
            // The session that asks for this is live, so it is on the list if the list is whole.
            Meant::AllBut(own) => listed.whole && listed.handles.contains(&handle(own)),
            Meant::All | Meant::One(_) => listed.whole,
        };
        let mut ended = Vec::new();
        let mut result = self
            .ledger
            .end_all(&listed.keys, whose, now, &mut ended)
            .await;
        if !is_whole {
            let mut place = Some(Cursor::default());
            while let Some(from) = place {
                let (keys, next) = self.ledger.scan_for(whose, from, 1000).await?;
                let found = self.ledger.end_all(&keys, whose, now, &mut ended).await;
                result = result.and(found);
                place = next;
            }
        }
        result?;
        self.wire.tell(ActorEvent::Revoked);
        Ok(())
    }

    async fn list(&self, user: u8) -> ActResult {
        let now = self.wire.now().await;
        let listed = self.ledger.sessions_of(&[user_key(user)], now).await?;
        let mut sessions = 0;
        for listing in listed.listings {
            assert!(listing.head.is_live(now), "what is over is shown");
            let session = listing.head.handle.0[0] - 1;
            assert!(!has(sessions, session), "a session is shown twice");
            sessions |= 1 << session;
            let key = listing.key.0[0];
            self.wire.tell(ActorEvent::Shows { session, key });
        }
        self.wire.tell(ActorEvent::Shown { sessions });
        Ok(())
    }

    async fn sweep(&self, rounds: u8) -> ActResult {
        for _ in 0..rounds {
            let now = self.wire.now().await;
            assert!(now > moment(0));
            self.ledger.sweep(now, 1000).await?;
        }
        Ok(())
    }
}
