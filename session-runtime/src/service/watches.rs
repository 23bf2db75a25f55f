//! The watches of a service: the sessions that are watched, and the thread that asks the store for all of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::runtime;
use tokio::time::{MissedTickBehavior, interval};

use super::codec::Codec;
use super::service::Service;
use super::standing::Live;
use super::watcher::Watcher;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::one_line::OneLine;
use crate::record::{Handle, Head, Key, UserKey};
use crate::store::{Entry, RENEWALS, StoreError};

/// The time between two questions to the store.
const PERIOD: Duration = Duration::from_secs(2);
/// The number of periods without a watch after which the thread ends. A new thread needs a new connection to Redis.
const IDLE_PERIODS: u32 = 30;
/// The time for a question, as a multiple of `store_timeout`. No request waits for it, and it may be about many sessions.
const PATIENCE: u32 = 5;

/// The sessions that are watched.
#[derive(Default)]
pub(crate) struct Watches(Mutex<WatchesState>);

#[derive(Default)]
struct WatchesState {
    sessions: HashMap<Handle, WatchedSession, RandomState>,
    /// True while the thread runs.
    is_running: bool,
    is_closed: bool,
}

/// A session that is watched.
struct WatchedSession {
    /// The key under which it was last found, or to which it was renewed.
    key: Key,
    /// The number of the revision that this was learned from.
    number: u64,
    /// The keys of its user, one for each secret; empty if nobody is logged in.
    users: Vec<UserKey>,
    /// True if nobody has looked under this key yet. Only a login changes the user, and a login brings a new key. Under a
    /// known key, another key of the user is the same user under another secret.
    is_moved: bool,
    watchers: Vec<Weak<Watcher>>,
}

/// The key under which a session is looked for.
pub(super) type Asked = (Handle, Key);

impl WatchedSession {
    /// True if the session has gone from a user to any other.
    fn is_of_other(&self, user: Option<UserKey>) -> bool {
        !self.users.is_empty() && !user.is_some_and(|user| self.users.contains(&user))
    }

    fn end(self) {
        self.watchers
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|watcher| watcher.end());
    }

    fn leave(&mut self, watcher: &Watcher) {
        self.watchers
            .retain(|other| !std::ptr::eq(other.as_ptr(), watcher));
    }

    /// Forgets the watchers that were dropped. True if there are others.
    fn is_watched(&mut self) -> bool {
        self.watchers.retain(|watcher| watcher.strong_count() > 0);
        !self.watchers.is_empty()
    }

    /// Takes the head that was found under the key. False if it is another user's now.
    fn found(&mut self, head: &Head) -> bool {
        let is_other = self.is_of_other(head.user);
        if is_other && self.is_moved {
            return false;
        }
        if is_other || self.users.is_empty() {
            self.users = head.user.into_iter().collect();
        }
        (self.number, self.is_moved) = (head.revision.number, false);
        true
    }
}

impl Watches {
    fn state(&self) -> MutexGuard<'_, WatchesState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a watcher follow a session. Starts the thread if it does not run.
    pub(super) fn follow(&self, service: &Arc<Service>, watcher: &Arc<Watcher>, live: &Live) {
        let users = users_of(live, &service.codec);
        let mut state = self.state();
        if state.is_closed {
            return watcher.end();
        }
        let new = WatchedSession {
            key: live.key,
            number: live.head.revision.number,
            users,
            is_moved: false,
            watchers: vec![Arc::downgrade(watcher)],
        };
        if let Some(known) = state.sessions.get_mut(&live.head.handle) {
            known.leave(watcher);
        }
        match state.sessions.entry(live.head.handle) {
            Place::Vacant(place) => drop(place.insert(new)),
            Place::Occupied(mut place) => {
                let known = place.get_mut();
                if new.number < known.number {
                    // The request is behind: another one has changed the session since it was loaded.
                    let same = |user: &UserKey| new.users.contains(user);
                    if !new.users.is_empty() && !known.users.iter().any(same) {
                        return watcher.end();
                    }
                    known.watchers.extend(new.watchers);
                } else if known.is_of_other(live.head.user) {
                    place.insert(new).end();
                } else {
                    let watchers = std::mem::take(&mut known.watchers);
                    *known = new;
                    known.watchers.extend(watchers);
                }
            }
        }
        if !state.is_running {
            state.is_running = start(service);
        }
    }

    /// Stops a watcher from following a session.
    pub(super) fn leave(&self, handle: Handle, watcher: &Watcher) {
        if let Some(session) = self.state().sessions.get_mut(&handle) {
            session.leave(watcher);
        }
    }

    /// Ends the watches of a session that this process has just ended.
    pub(super) fn end(&self, handle: Handle) {
        let ended = self.state().sessions.remove(&handle);
        if let Some(session) = ended {
            session.end();
        }
    }

    /// Follows a session that this process has just renewed, or ends its watches if it is another user's now.
    pub(super) fn learn(&self, live: &Live, codec: &Codec) {
        let mut state = self.state();
        let Some(session) = state.sessions.get_mut(&live.head.handle) else {
            return;
        };
        if live.head.revision.number < session.number {
            return;
        }
        if session.is_of_other(live.head.user) {
            drop(state);
            return self.end(live.head.handle);
        }
        (session.key, session.is_moved) = (live.key, false);
        session.number = live.head.revision.number;
        session.users = users_of(live, codec);
    }

    /// Ends all watches, now and from now on.
    pub(super) fn close(&self) {
        let sessions = {
            let mut state = self.state();
            state.is_closed = true;
            std::mem::take(&mut state.sessions)
        };
        sessions.into_values().for_each(WatchedSession::end);
    }

    /// Returns the place of one session, to ask for it alone.
    pub(super) fn place_of(&self, handle: Handle) -> Vec<Asked> {
        let state = self.state();
        let session = state.sessions.get(&handle);
        session
            .map(|session| (handle, session.key))
            .into_iter()
            .collect()
    }

    /// Forgets the watches that were dropped, and returns the places of the sessions that have others.
    fn places(&self) -> Vec<Asked> {
        let mut state = self.state();
        state.sessions.retain(|_, session| session.is_watched());
        let sessions = state.sessions.iter();
        sessions
            .map(|(handle, session)| (*handle, session.key))
            .collect()
    }

    /// True if the thread may end: there is no watch. The next watch then starts another one.
    fn may_stop(&self) -> bool {
        let mut state = self.state();
        state.is_running = !state.sessions.is_empty();
        !state.is_running
    }

    /// Takes the answers of the store. Returns the places of the sessions that have moved.
    fn take(&self, asked: &[Asked], answers: &[Option<Entry>], now: Timestamp) -> Vec<Asked> {
        let mut moved = Vec::new();
        let mut state = self.state();
        for (&(handle, key), answer) in asked.iter().zip(answers) {
            let Some(session) = state.sessions.get_mut(&handle) else {
                continue;
            };
            if session.key != key {
                // It has been renewed or begun again since the question.
                continue;
            }
            let goes_on = match answer {
                Some(Entry::Live(record)) => {
                    record.head.is_live(now) && session.found(&record.head)
                }
                Some(Entry::Ended {
                    successor: Some(successor),
                    ..
                }) => {
                    (session.key, session.is_moved) = (*successor, true);
                    moved.push((handle, *successor));
                    true
                }
                _ => false,
            };
            if !goes_on && let Some(session) = state.sessions.remove(&handle) {
                session.end();
            }
        }
        moved
    }
}

/// A service that nobody uses any more ends its watches.
impl Drop for Watches {
    fn drop(&mut self) {
        self.close();
    }
}

fn users_of(live: &Live, codec: &Codec) -> Vec<UserKey> {
    let user = live.contents.user.as_deref();
    let mut users = user.map_or_else(Vec::new, |user| codec.user_keys(user));
    // Under a secret that is not known here any more.
    let stored = live.head.user.filter(|user| !users.contains(user));
    users.extend(stored);
    users
}

impl Service {
    /// Asks the store for these sessions, in one question, and once more for each renewal of those that have moved. All
    /// renewals are followed: otherwise a visitor could renew faster than an end is noticed.
    ///
    /// # Errors
    /// The store fails. Nothing ends, and the next question goes on from the last answer.
    pub(super) async fn look_at(&self, mut asked: Vec<Asked>) -> Result<()> {
        let mut deadline = self.storage.deadline_after(self.storage.timeout * PATIENCE);
        for _ in 0..=RENEWALS {
            if asked.is_empty() {
                return Ok(());
            }
            let keys: Vec<Key> = asked.iter().map(|&(_, key)| key).collect();
            let heads = self.storage.ledger.heads(&keys);
            let answers = deadline.wait(pin!(heads)).await?;
            asked = self.watches.take(&asked, &answers, self.storage.now());
        }
        Err(StoreError::Endless(RENEWALS).into())
    }
}

/// Starts the thread that asks for the sessions. It is a thread and not a task, because no worker's runtime lasts as long
/// as the service. False if there is no thread to be had.
fn start(service: &Arc<Service>) -> bool {
    let service = Arc::downgrade(service);
    let thread = std::thread::Builder::new().name("bsession-watches".to_owned());
    let started = thread.spawn(move || {
        let running = Running(Weak::clone(&service));
        // Built here: a runtime that is dropped on a worker panics.
        match runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                runtime.block_on(watch_on(service));
                // It has said so already, and another thread may have started since.
                std::mem::forget(running);
            }
            Err(error) => not_started(&error),
        }
    });
    started.inspect_err(not_started).is_ok()
}

fn not_started(error: &std::io::Error) {
    tracing::error!(
        target: "bsession",
        error = %OneLine(&error),
        hint = "raise the limits of threads and open files: until the thread can start, watches notice only what this process ends",
        "watches_not_started"
    );
}

/// The running thread. If it panics, as a store may, the next watch starts another one.
struct Running(Weak<Service>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(service) = self.0.upgrade() {
            service.watches.state().is_running = false;
        }
    }
}

/// Asks for all sessions that are watched, once in each period, until there have been none for a while.
async fn watch_on(service: Weak<Service>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut idle = 0;
    loop {
        ticks.tick().await;
        let Some(service) = service.upgrade() else {
            return;
        };
        let asked = service.watches.places();
        if asked.is_empty() {
            idle += 1;
            if idle >= IDLE_PERIODS && service.watches.may_stop() {
                return;
            }
            continue;
        }
        idle = 0;
        // The error is logged and counted. The next question may succeed.
        let _ = service.look_at(asked).await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use futures_util::future::{Either, select};

    use super::super::save::Outcome;
    use super::super::sessions::Sessions;
    use super::*;
    use crate::changes::Changes;
    use crate::clock::Timestamp;
    use crate::contents::{self, Contents};
    use crate::session::Watched;
    use crate::store::memory::OpenMemory;
    use crate::store::{Answer, Cursor, Expected, Listed, Scanned, Store, Swap};

    /// A store in memory that counts the questions for heads, and fails when it is told to.
    #[derive(Default)]
    struct Counting {
        memory: OpenMemory,
        questions: AtomicUsize,
        keys: AtomicUsize,
        fails: AtomicBool,
    }

    impl Counting {
        /// The questions since the last call, and the keys in them.
        fn count(&self) -> (usize, usize) {
            let take = |counter: &AtomicUsize| counter.swap(0, Ordering::SeqCst);
            (take(&self.questions), take(&self.keys))
        }
    }

    impl Store for Counting {
        fn load(&self, key: Key) -> Answer<'_, Option<Entry>> {
            self.memory.load(key)
        }

        fn swap(
            &self,
            key: Key,
            expected: Expected,
            entry: Option<Entry>,
            now: Timestamp,
        ) -> Answer<'_, Swap> {
            self.memory.swap(key, expected, entry, now)
        }

        fn list<'a>(&'a self, users: &'a [UserKey]) -> Answer<'a, Listed> {
            self.memory.list(users)
        }

        fn scan(&self, cursor: Cursor, budget: usize) -> Answer<'_, Scanned> {
            self.memory.scan(cursor, budget)
        }

        fn heads<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Entry>>> {
            self.questions.fetch_add(1, Ordering::SeqCst);
            self.keys.fetch_add(keys.len(), Ordering::SeqCst);
            if self.fails.load(Ordering::SeqCst) {
                return Answer::Now(Err(StoreError::TimedOut));
            }
            self.memory.heads(keys)
        }
    }

    /// A service whose thread of watches is played by the test.
    fn service(store: &Arc<Counting>) -> Arc<Service> {
        let builder = Sessions::builder("0123456789abcdef0123456789abcdef");
        let Sessions(service) = builder.mode(Arc::clone(store)).build().unwrap();
        service.watches.state().is_running = true;
        service
    }

    async fn live(service: &Service, user: Option<&str>) -> Live {
        let contents = Contents {
            user: user.map(Box::from),
            data: [("a", 1.into())].into_iter().collect(),
            ..Contents::default()
        };
        let changes = Changes {
            login: user.is_some(),
            ..Changes::between(contents::empty(), Arc::new(contents))
        };
        let mut outcome = Outcome::default();
        service.create(&mut outcome, &[changes]).await.unwrap();
        outcome.standing.live().unwrap().clone()
    }

    fn watch(service: &Arc<Service>, live: &Live) -> Arc<Watcher> {
        let watcher = Watcher::new(service);
        watcher.follow(live);
        watcher
    }

    fn is_over(watcher: &Watcher) -> bool {
        let ended = watcher.ended();
        futures_util::FutureExt::now_or_never(ended).is_some()
    }

    /// Runs in time that passes as soon as everybody waits for it.
    fn in_passing_time(test: impl Future<Output = ()>) {
        let mut runtime = runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(test);
    }

    /// Plays the thread for so long; true if it goes on.
    async fn play(service: &Arc<Service>, span: Duration) -> bool {
        let thread = pin!(watch_on(Arc::downgrade(service)));
        let end = pin!(tokio::time::sleep(span));
        matches!(select(thread, end).await, Either::Right(_))
    }

    #[test]
    fn ten_thousand_watches_cost_one_question_each_two_seconds() {
        in_passing_time(async {
            let store = Arc::new(Counting::default());
            let service = service(&store);
            let mut watchers = Vec::new();
            for number in 0..10_000 {
                let live = live(&service, Some(&number.to_string())).await;
                watchers.push(watch(&service, &live));
                // Many watches of one session cost no more.
                if number == 0 {
                    watchers.extend((0..100).map(|_| watch(&service, &live)));
                }
            }
            assert!(play(&service, PERIOD * 10 + PERIOD / 2).await);
            assert_eq!(store.count(), (10, 100_000));
            assert!(!watchers.iter().any(|watcher| is_over(watcher)));

            // A watch that is dropped is forgotten, and with the last one the thread ends.
            watchers.truncate(1);
            assert!(play(&service, PERIOD * 2 + PERIOD / 2).await);
            assert_eq!(
                store.count(),
                (2, 2),
                "the others of its session are dropped"
            );
            watchers.clear();
            assert!(!play(&service, PERIOD * (IDLE_PERIODS + 1)).await);
            assert_eq!(store.count(), (0, 0));
            assert!(!service.watches.state().is_running);
            assert!(service.watches.state().sessions.is_empty());
        });
    }

    /// No question is needed for what this process does itself.
    #[test]
    fn what_this_process_ends_is_over_at_once() {
        in_passing_time(async {
            let store = Arc::new(Counting::default());
            let service = service(&store);
            let sessions = Sessions(Arc::clone(&service));
            let mut watchers = Vec::new();
            for _ in 0..3 {
                let live = live(&service, Some("joe")).await;
                watchers.push((watch(&service, &live), live.head.handle));
            }
            let [(first, handle), (second, _), (third, _)] = &watchers[..] else {
                panic!("there are three")
            };
            assert!(sessions.revoke("joe", *handle).await.unwrap());
            assert!(is_over(first) && !is_over(second));
            assert_eq!(sessions.revoke_user("joe", None).await.unwrap(), 2);
            assert!(is_over(second) && is_over(third));

            for (user, is_end) in [(Some("joe"), true), (Some("eve"), false), (None, false)] {
                let live = live(&service, user).await;
                let watcher = watch(&service, &live);
                let mut outcome = Outcome::of(super::super::Standing::Live(live));
                let mut session = crate::Session::default();
                session.login("eve");
                let login = [session.into_changes().0];
                service
                    .save(&Default::default(), &mut outcome, &login)
                    .await
                    .unwrap();
                assert_eq!(is_over(&watcher), is_end, "from {user:?} to eve");
                service
                    .save(&Default::default(), &mut outcome, &[Changes::purge()])
                    .await
                    .unwrap();
                assert!(is_over(&watcher));
            }
            assert_eq!(store.count(), (0, 0));
        });
    }

    /// A page that stays open does not keep what other requests of its session have watched.
    #[test]
    fn a_watch_that_is_dropped_is_forgotten_beside_one_that_stays() {
        in_passing_time(async {
            let service = service(&Arc::new(Counting::default()));
            let live = live(&service, None).await;
            let stays = watch(&service, &live);
            (0..1000).for_each(|_| drop(watch(&service, &live)));
            assert!(play(&service, PERIOD + PERIOD / 2).await);
            let watchers = service.watches.state().sessions[&live.head.handle]
                .watchers
                .len();
            assert_eq!(watchers, 1);
            assert!(!is_over(&stays));
        });
    }

    /// A visitor can renew the session a thousand times between two questions.
    #[test]
    fn however_many_renewals_lead_to_an_end_it_is_noticed() {
        in_passing_time(async {
            let store = Arc::new(Counting::default());
            let (here, elsewhere) = (service(&store), service(&store));
            let mut renewal = crate::Session::default();
            renewal.renew();
            let renewal = [renewal.into_changes().0];
            for goes_on in [true, false] {
                let live = live(&here, Some("joe")).await;
                let watcher = watch(&here, &live);
                let mut outcome = Outcome::of(super::super::Standing::Live(live));
                let nothing = Default::default();
                for _ in 0..1000 {
                    let saved = elsewhere.save(&nothing, &mut outcome, &renewal);
                    saved.await.unwrap();
                }
                if !goes_on {
                    let purge = [Changes::purge()];
                    let saved = elsewhere.save(&nothing, &mut outcome, &purge);
                    saved.await.unwrap();
                }
                assert!(play(&here, PERIOD + PERIOD / 2).await);
                assert_eq!(is_over(&watcher), !goes_on);
                assert_eq!(watcher.is_live().await.unwrap(), goes_on);
            }
        });
    }

    #[test]
    fn an_outage_is_no_end() {
        in_passing_time(async {
            let store = Arc::new(Counting::default());
            let service = service(&store);
            let live = live(&service, None).await;
            let watcher = watch(&service, &live);
            // By another process.
            let now = service.storage.now();
            assert!(store.end(live.key, None, now).await.is_ok());
            store.fails.store(true, Ordering::SeqCst);
            assert!(play(&service, PERIOD * 3 + PERIOD / 2).await);
            assert!(watcher.is_live().await.is_err());
            assert!(!is_over(&watcher));
            store.fails.store(false, Ordering::SeqCst);
            assert!(!watcher.is_live().await.unwrap());
            assert!(is_over(&watcher));
        });
    }

    fn session(users: &[u8], is_moved: bool) -> WatchedSession {
        WatchedSession {
            key: Key([1; 16]),
            number: 1,
            users: users.iter().map(|&user| UserKey([user; 16])).collect(),
            is_moved,
            watchers: Vec::new(),
        }
    }

    fn head(user: Option<u8>) -> Head {
        Head {
            revision: crate::record::Revision::first(),
            expires: Timestamp::MAX,
            seen: Timestamp::default(),
            created: Timestamp::default(),
            handle: Handle([1; 12]),
            user: user.map(|user| UserKey([user; 16])),
        }
    }

    /// A rotation of secrets gives every user another key.
    #[test]
    fn a_user_under_another_secret_is_no_other_user() {
        for (users, is_moved, found, goes_on) in [
            (&[][..], true, None, true),
            (&[], true, Some(1), true),
            (&[1, 2], true, Some(2), true),
            (&[1, 2], true, Some(3), false),
            (&[1, 2], true, None, false),
            (&[1, 2], false, Some(3), true),
        ] {
            let mut session = session(users, is_moved);
            let what = format!("{users:?} {is_moved} {found:?}");
            assert_eq!(session.found(&head(found)), goes_on, "{what}");
            if goes_on {
                // From here on, that is the user.
                session.is_moved = true;
                assert!(session.found(&head(found)), "{what}");
                session.is_moved = true;
                assert_eq!(session.found(&head(Some(9))), found.is_none(), "{what}");
            }
        }
    }

    /// A request that is behind tells nothing new, and its watch is over if the session is another user's now.
    #[test]
    fn a_request_that_is_behind_changes_nothing() {
        in_passing_time(async {
            let store = Arc::new(Counting::default());
            let service = service(&store);
            let old = live(&service, Some("joe")).await;
            let new = Live {
                key: Key([9; 16]),
                head: Head {
                    revision: old.head.revision.next(),
                    ..old.head
                },
                ..old.clone()
            };
            let first = watch(&service, &new);
            let second = watch(&service, &old);
            let place = service.watches.place_of(old.head.handle);
            assert_eq!(place, [(old.head.handle, new.key)]);
            let eve = live(&service, Some("eve")).await;
            let eves = Live {
                head: Head {
                    handle: old.head.handle,
                    ..eve.head
                },
                ..eve
            };
            assert!(is_over(&watch(&service, &eves)));
            assert!(!is_over(&first) && !is_over(&second));
            let place = |key| [(old.head.handle, key)];
            let answer = [None];
            service
                .watches
                .take(&place(old.key), &answer, service.storage.now());
            assert!(!is_over(&first), "the answer is about an old key");
            service
                .watches
                .take(&place(new.key), &answer, service.storage.now());
            assert!(is_over(&first) && is_over(&second));
        });
    }
}
