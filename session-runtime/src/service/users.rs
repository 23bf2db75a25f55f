//! The sessions of a user, seen from outside of them.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::time::Instant;

use super::deadline::Deadline;
use super::service::Service;
use super::sessions::Sessions;
use crate::background::Lasting;
use crate::error::{Error, Result};
use crate::record::{Handle, Key, UserKey};
use crate::seal::SummaryContents;
use crate::session::Session;
use crate::store::{AT_ONCE, Cursor, Listing, StoreError, UserSessions, Which, Whose};
use crate::throttle::Throttle;

/// What can be told of a session without its visitor's cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its public name, as [`Session::handle`](crate::Session::handle) gives it.
    pub handle: Handle,
    /// When it was created.
    pub created: SystemTime,
    /// When the user logged in; `None` if that cannot be read, as in what an earlier version wrote.
    pub authenticated: Option<SystemTime>,
    /// When it was last visited, to the minute.
    pub seen: SystemTime,
    /// When it ends unless it is visited again.
    pub expires: SystemTime,
    /// What the application noted with [`Session::set_note`](crate::Session::set_note).
    pub note: Option<String>,
}

impl SessionInfo {
    fn new(listing: &Listing, told: SummaryContents) -> Self {
        Self {
            handle: listing.head.handle,
            created: listing.head.created.into(),
            authenticated: told.authenticated.map(SystemTime::from),
            seen: listing.head.seen.into(),
            expires: listing.head.expires.into(),
            note: told.note.map(String::from),
        }
    }
}

impl Sessions {
    /// The sessions in which `user` is logged in, the oldest first.
    ///
    /// A page of devices, with a button to log each of them out:
    ///
    /// ```
    /// # use std::fmt::Write;
    /// # use actix_web::{HttpResponse, Responder, get, post, web::{Form, Html, Redirect}};
    /// # use bsession::{Handle, Sessions, session};
    /// # fn escaped(text: &str) -> String { text.replace('&', "&amp;").replace('<', "&lt;") }
    /// #[get("/devices")]
    /// #[session]
    /// async fn devices(sessions: Sessions) -> bsession::Result<impl Responder> {
    ///     let Some(user) = session.user() else { return Ok(Html::new("log in first")) };
    ///     let mut page = String::new();
    ///     for device in sessions.of_user(user).await? {
    ///         let name = escaped(device.note.as_deref().unwrap_or("a browser"));
    ///         let minutes = device.seen.elapsed().unwrap_or_default().as_secs() / 60;
    ///         let handle = device.handle;
    ///         let _ = match session.handle() == Some(handle) {
    ///             true => write!(page, "<p>{name}: this one"),
    ///             false => write!(
    ///                 page,
    ///                 "<form method=post action=/revoke>{name}, {minutes} minutes ago \
    ///                  <button name=handle value={handle}>log out</button></form>"
    ///             ),
    ///         };
    ///     }
    ///     Ok(Html::new(page))
    /// }
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Device {
    ///     handle: Handle,
    /// }
    ///
    /// #[post("/revoke")]
    /// #[session(csrf)]
    /// async fn revoke(form: Form<Device>, sessions: Sessions) -> bsession::Result<impl Responder> {
    ///     if let Some(user) = session.user() {
    ///         sessions.revoke(user, form.handle).await?; // of this user alone
    ///     }
    ///     Ok(Redirect::to("/devices").see_other())
    /// }
    /// ```
    ///
    /// # Errors
    /// The store fails.
    pub async fn of_user(&self, user: &str) -> Result<Vec<SessionInfo>> {
        let service = &*self.0;
        let listed = service.list(user, &mut service.storage.deadline()).await?;
        let info = |listing| {
            SessionInfo::new(
                listing,
                service.codec.open_summary(listing).unwrap_or_default(),
            )
        };
        let mut sessions: Vec<_> = listed.listings.iter().map(info).collect();
        sessions.sort_by_key(|session| (session.created, session.handle));
        Ok(sessions)
    }

    /// Ends one session of `user`, as a logout would: it is over at its very next request, whatever is in
    /// flight, in every process. Returns whether there was such a session.
    ///
    /// The handle may come from a form: that of another user's session ends nothing.
    ///
    /// # Errors
    /// The store fails.
    pub async fn revoke(&self, user: &str, handle: Handle) -> Result<bool> {
        Ok(self.end_of(user, Which::One(handle), None).await? > 0)
    }

    /// Ends the sessions of `user`, all or all but one; returns how many. As with
    /// [`revoke`](Self::revoke), they are over at their very next request.
    ///
    /// To log out everywhere else, give the session of the request for `except`. It is spared even if
    /// this very request makes it or logs it in, since it is saved after the handler. To end it as
    /// well, also [`purge`](Session::purge) it, which removes its cookie.
    ///
    /// It comes to its end in slices, each within [`store_timeout`](crate::Builder::store_timeout), and goes on if
    /// the caller is dropped. It ends the sessions that were live when it began. If the store knows that its list of the user's sessions
    /// is incomplete, it looks through all sessions, for as long as `store_timeout`; the next call goes on where this one
    /// stopped.
    ///
    /// # Errors
    /// The store fails; or the list was incomplete, and not all sessions were looked at. Those that could be ended
    /// have ended by then.
    pub async fn revoke_user(&self, user: &str, except: Option<&Session>) -> Result<usize> {
        let facts = except.map(Session::facts).unwrap_or_default();
        let which = facts.handle.map_or(Which::All, Which::AllBut);
        let is_theirs = |key: &UserKey| self.0.codec.user_keys(user).contains(key);
        let own = facts
            .handle
            .filter(|_| facts.user.as_ref().is_some_and(is_theirs));
        self.end_of(user, which, own).await
    }

    /// Goes on to the end even if the caller does not.
    async fn end_of(&self, user: &str, which: Which, own: Option<Handle>) -> Result<usize> {
        let (service, user) = (Arc::clone(&self.0), user.to_owned());
        Lasting::new(async move { service.end_of(&user, which, own).await }).await
    }
}

/// What is known of lists that lack sessions.
#[derive(Default)]
pub(super) struct Repairs {
    /// Where the search for what is on no list stopped.
    places: Mutex<HashMap<(UserKey, Which), Cursor>>,
    warnings: Throttle,
}

/// How many searches are remembered. Beyond that all begin anew.
const REMEMBERED: usize = 64;
/// How many entries a step of a search looks at.
const LOOKS: usize = 1000;
/// How many times `store_timeout` a list may take that is read to end what is on it: a hundred thousand
/// sessions of one user are read from files in a second or two.
const LIST_PATIENCE: u32 = 10;

impl Repairs {
    fn places(&self) -> MutexGuard<'_, HashMap<(UserKey, Which), Cursor>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, user: UserKey, which: Which) -> Cursor {
        self.places().remove(&(user, which)).unwrap_or_default()
    }

    fn keep(&self, user: UserKey, which: Which, place: Cursor) {
        let mut places = self.places();
        if places.len() >= REMEMBERED {
            places.clear();
        }
        places.insert((user, which), place);
    }
}

impl Service {
    /// The sessions of a user, each once.
    pub(super) async fn list(
        &self,
        user: &str,
        deadline: &mut Deadline<'_>,
    ) -> Result<UserSessions> {
        let users = self.codec.user_keys(user);
        let listed = deadline
            .wait(pin!(
                self.storage.ledger.sessions_of(&users, self.storage.now())
            ))
            .await?;
        if !listed.whole {
            self.incomplete();
        }
        Ok(listed)
    }

    /// Ends sessions of a user, in slices with a deadline each, and returns how many there were.
    ///
    /// `own` is a session that is known to be the user's: if the list lacks it, others may be missing, too.
    ///
    /// # Errors
    /// The store fails. All that could be ended is ended by then.
    pub(super) async fn end_of(
        &self,
        user: &str,
        which: Which,
        own: Option<Handle>,
    ) -> Result<usize> {
        let users = self.codec.user_keys(user);
        let whose = Whose {
            users: &users,
            which,
        };
        let mut patient = self
            .storage
            .deadline_after(self.storage.timeout * LIST_PATIENCE);
        let listed = patient
            .wait(pin!(self.storage.ledger.on_list(whose)))
            .await?;
        let is_whole = listed.whole && own.is_none_or(|handle| listed.handles.contains(&handle));
        let mut ended = 0;
        let mut result = self.end_in_slices(&listed.keys, whose, &mut ended).await;
        if !is_whole {
            self.incomplete();
            let found = self.end_unlisted(whose, &mut ended).await;
            result = result.and(found);
        }
        self.storage.counters.removals.add(ended as u64);
        if ended > 0 {
            tracing::debug!(target: "bsession", ended, "revoked");
        }
        result.map(|()| ended)
    }

    async fn end_in_slices(&self, keys: &[Key], whose: Whose<'_>, ended: &mut usize) -> Result<()> {
        let mut result = Ok(());
        for slice in keys.chunks(AT_ONCE) {
            let mut deadline = self.storage.deadline();
            let mut here = 0;
            let ends = self
                .storage
                .ledger
                .end_all(slice, whose, self.storage.now(), &mut here);
            let ends = deadline.wait(pin!(ends)).await;
            *ended += here;
            let is_over = matches!(&ends, Err(StoreError::TimedOut | StoreError::Stopped));
            result = result.and(ends.map_err(Error::from));
            if is_over {
                // The store is down: all that is left would wait as long.
                break;
            }
            // Where the store answers at once, others have their turn between two slices.
            tokio::task::yield_now().await;
        }
        result
    }

    /// Looks through all of the store, for as long as a request may wait and from where the last call
    /// stopped, and ends those sessions that are meant.
    async fn end_unlisted(&self, whose: Whose<'_>, ended: &mut usize) -> Result<()> {
        let Some(&user) = whose.users.first() else {
            return Ok(());
        };
        let end = Instant::now() + self.storage.timeout;
        let mut place = self.repairs.take(user, whose.which);
        loop {
            let scan = self.storage.ledger.scan_for(whose, place.clone(), LOOKS);
            let step = async {
                let (keys, next) = self.storage.deadline().wait(pin!(scan)).await?;
                self.end_in_slices(&keys, whose, ended).await?;
                Ok::<_, Error>(next)
            };
            match step.await {
                Ok(None) => return Ok(()),
                Ok(Some(next)) => place = next,
                Err(error) => {
                    self.repairs.keep(user, whose.which, place);
                    return Err(error);
                }
            }
            if Instant::now() >= end {
                self.repairs.keep(user, whose.which, place);
                let error = StoreError::Incomplete { ended: *ended };
                self.storage.failed(&error);
                return Err(error.into());
            }
        }
    }

    fn incomplete(&self) {
        if !self.repairs.warnings.lets_through(self.storage.now()) {
            return;
        }
        tracing::warn!(
            target: "bsession",
            hint = "something deleted the list of a user's sessions, or a server lost it: visits and sweeps put sessions back",
            "list_incomplete"
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;
    use crate::record::{Body, Head, Record, Revision};
    use crate::store::file::FileStore;
    use crate::store::memory::OpenMemory;
    use crate::store::{Answer, Entry, Expected, Listed, Scanned, Store, Swap};

    const MANY: u32 = 100_000;

    fn record(number: u32, user: UserKey, now: Timestamp) -> Record {
        let mut handle = Handle([1; 12]);
        handle.0[..4].copy_from_slice(&number.to_le_bytes());
        Record {
            head: Head {
                revision: Revision::first(),
                expires: now + Duration::from_secs(3600),
                seen: now,
                created: now,
                handle,
                user: Some(user),
            },
            summary: None,
            body: Body::from_bytes(*b"sealed"),
        }
    }

    fn key(number: u32) -> Key {
        let bytes = number.wrapping_mul(0x9E37_79B1).to_le_bytes();
        Key(std::array::from_fn(|place| bytes[place % 4]))
    }

    /// No one deadline would do for all of them.
    #[test]
    fn a_hundred_thousand_sessions_of_one_user_end_to_the_last() {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let dir = dir.unwrap();
        let files = FileStore::at(dir.path().join("sessions"));
        let builder = Sessions::builder("0123456789abcdef0123456789abcdef").mode(files);
        let sessions = builder
            .store_timeout(Duration::from_secs(1))
            .build()
            .unwrap();
        let service = &sessions.0;
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(async {
            let (now, user) = (service.storage.now(), service.codec.user_keys("joe")[0]);
            for number in 0..MANY {
                let made =
                    service
                        .storage
                        .ledger
                        .create(key(number), record(number, user, now), now);
                assert!(made.await.unwrap());
            }
            let begin = Instant::now();
            let ended = sessions.revoke_user("joe", None).await.unwrap();
            assert_eq!(ended, MANY as usize);
            println!("{MANY} ended in {:?}", begin.elapsed());
            assert_eq!(sessions.revoke_user("joe", None).await.unwrap(), 0);
        });
    }

    /// A store that has lost its lists, and shows two entries in each slice of a scan.
    struct Lossy(OpenMemory);

    impl Store for Lossy {
        fn load(&self, key: Key) -> Answer<'_, Option<Entry>> {
            self.0.load(key)
        }

        fn swap(
            &self,
            key: Key,
            expected: Expected,
            entry: Option<Entry>,
            now: Timestamp,
        ) -> Answer<'_, Swap> {
            self.0.swap(key, expected, entry, now)
        }

        fn list<'a>(&'a self, _: &'a [UserKey]) -> Answer<'a, Listed> {
            Answer::ready(|| {
                Ok(Listed {
                    entries: Vec::new(),
                    whole: false,
                })
            })
        }

        fn scan(&self, cursor: Cursor, _: usize) -> Answer<'_, Scanned> {
            let Answer::Now(Ok(mut all)) = self.0.scan(Cursor::default(), usize::MAX) else {
                panic!("memory answers at once")
            };
            all.entries.sort_by_key(|&(key, _)| key);
            let from = usize::from(cursor.0.first().copied().unwrap_or_default());
            let end = from + 2;
            let next = (end < all.entries.len()).then(|| Cursor(vec![end as u8]));
            let entries = all.entries.into_iter().skip(from).take(2).collect();
            Answer::ready(|| Ok(Scanned { entries, next }))
        }
    }

    /// In each call there is time for one slice.
    #[test]
    fn a_search_that_is_out_of_time_says_so_and_the_next_one_goes_on() {
        let store = Arc::new(Lossy(OpenMemory::default()));
        let builder = Sessions::builder("0123456789abcdef0123456789abcdef");
        let builder = builder.mode(store);
        let sessions = builder
            .store_timeout(Duration::from_nanos(1))
            .build()
            .unwrap();
        let service = &sessions.0;
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(async {
            let (now, user) = (service.storage.now(), service.codec.user_keys("joe")[0]);
            for number in 0..5 {
                let made =
                    service
                        .storage
                        .ledger
                        .create(key(number), record(number, user, now), now);
                assert!(made.await.unwrap());
            }
            for _ in 0..2 {
                let result = sessions.revoke_user("joe", None).await;
                let incomplete = StoreError::Incomplete { ended: 2 };
                let expected = Error::Store(incomplete).to_string();
                assert_eq!(result.unwrap_err().to_string(), expected);
            }
            assert_eq!(sessions.revoke_user("joe", None).await.unwrap(), 1);
        });
    }
}
