//! The end of a user's sessions from outside: from the list of the user, and from a search where that list is incomplete.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::service::Service;
use crate::background::Lasting;
use crate::error::{Error, Result};
use crate::record::{Handle, Key, UserKey};
use crate::store::{AT_ONCE, Cursor, StoreError, Which, Whose};
use crate::throttle::Throttle;

/// The state of repairs: searches for sessions that are missing on the list of their user.
#[derive(Default)]
pub(super) struct Repairs {
    /// The places where searches stopped.
    places: Mutex<HashMap<(UserKey, Which), Cursor>>,
    warnings: Throttle,
}

/// The number of searches that are remembered. One more, and all of them start from the beginning again.
const REMEMBERED: usize = 64;
/// The number of entries that one step of a search reads.
const LOOKS: usize = 1000;
/// The time for reading a list, as a multiple of `store_timeout`. A hundred thousand sessions of one user are read from
/// files in a second or two.
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
    /// Ends sessions of a user, in slices with a deadline each. Returns their number. The work goes on if the caller is
    /// dropped.
    ///
    /// `own` is a session that is known to belong to the user. If the list lacks it, others may be missing, too.
    ///
    /// # Errors
    /// The store fails. All sessions that could be ended have ended by then.
    pub(super) async fn end_of(
        self: &Arc<Self>,
        user: &str,
        which: Which,
        own: Option<Handle>,
    ) -> Result<usize> {
        let (service, user) = (Arc::clone(self), user.to_owned());
        Lasting::new(async move { service.end_now(&user, which, own).await }).await
    }

    /// Does the same, for a caller that is not dropped.
    pub(super) async fn end_now(
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
            self.incomplete(&users);
            let found = self.end_unlisted(whose, &mut ended).await;
            result = result.and(found);
        }
        self.storage.counters.removals.add(ended as u64);
        result.map(|()| ended)
    }

    async fn end_in_slices(&self, keys: &[Key], whose: Whose<'_>, ended: &mut usize) -> Result<()> {
        let mut result = Ok(());
        for slice in keys.chunks(AT_ONCE) {
            let mut deadline = self.storage.deadline();
            let mut here = Vec::new();
            let ends = self
                .storage
                .ledger
                .end_all(slice, whose, self.storage.now(), &mut here);
            let ends = deadline.wait(pin!(ends)).await;
            *ended += here.len();
            for handle in here {
                self.watches.end(handle);
                let user = whose.users.first().map(tracing::field::display);
                tracing::debug!(target: "bsession", %handle, user, "revoked");
            }
            let is_over = match &ends {
                Ok(_) => false,
                Err(StoreError::Stopped) => true,
                Err(_) => deadline.is_over(),
            };
            result = result.and(ends.map_err(Error::from));
            if is_over {
                // The store is down: every slice that is left would wait as long.
                break;
            }
            // If the store answers at once, other requests get their turn between two slices.
            tokio::task::yield_now().await;
        }
        result
    }

    /// Searches the whole store for sessions that are on no list, and ends them. The search lasts as long as a request
    /// may wait, and starts where the last one stopped.
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

    /// Warns, once a minute, that the list of a user is incomplete.
    pub(super) fn incomplete(&self, users: &[UserKey]) {
        if !self.repairs.warnings.lets_through(self.storage.now()) {
            return;
        }
        tracing::warn!(
            target: "bsession",
            user = users.first().map(tracing::field::display),
            hint = "something deleted the list of a user's sessions, or a server lost it: visits and sweeps put sessions back",
            "list_incomplete"
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use std::time::Duration;

    use super::super::sessions::Sessions;
    use super::*;
    use crate::clock::Timestamp;
    use crate::record::{Body, Head, Record, Revision};
    use crate::store::file::FileStore;
    use crate::store::memory::OpenMemory;
    use crate::store::{Answer, Ending, Entry, Expected, Listed, Scanned, Store, Swap};

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

    /// A store that ends nothing any more, and knows why.
    struct Dark(OpenMemory);

    impl Store for Dark {
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

        fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed> {
            self.0.list(users)
        }

        fn scan(&self, cursor: Cursor, budget: usize) -> Answer<'_, Scanned> {
            self.0.scan(cursor, budget)
        }

        fn end<'a>(&'a self, _: Key, _: Option<Whose<'a>>, _: Timestamp) -> Answer<'a, Ending> {
            Answer::later(std::future::pending())
        }

        fn outage(&self) -> Option<StoreError> {
            Some(StoreError::Other("the lights are off".into()))
        }
    }

    #[test]
    fn a_store_that_is_down_is_waited_for_once_and_not_for_each_slice() {
        let builder = Sessions::builder("0123456789abcdef0123456789abcdef");
        let builder = builder.mode(Arc::new(Dark(OpenMemory::default())));
        let sessions = builder.build().unwrap();
        let service = &sessions.0;
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (now, user) = (service.storage.now(), service.codec.user_keys("joe")[0]);
            for number in 0..3 * AT_ONCE as u32 {
                let record = record(number, user, now);
                let made = service.storage.ledger.create(key(number), record, now);
                assert!(made.await.unwrap());
            }
            let begin = tokio::time::Instant::now();
            let error = sessions.revoke_user("joe", None).await.unwrap_err();
            assert!(error.to_string().ends_with("the lights are off"), "{error}");
            assert!(begin.elapsed() < service.storage.timeout * 2);
        });
    }
}
