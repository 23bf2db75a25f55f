//! The lists of users' sessions and, with `max_sessions`, the order of eviction.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::evictions::Evictions;
use crate::clock::Timestamp;
use crate::record::{Head, Key, UserKey};

#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Lists {
    users: HashMap<UserKey, HashSet<Key, RandomState>, RandomState>,
    /// `None` without `max_sessions`: then anonymous sessions are on no list at all.
    evictions: Option<Evictions>,
}

impl Lists {
    pub(super) fn new(max_sessions: Option<usize>) -> Self {
        Self {
            users: HashMap::default(),
            evictions: max_sessions.map(Evictions::new),
        }
    }

    /// The keys of the sessions of `users`.
    pub(super) fn keys(&self, users: &[UserKey]) -> Vec<Key> {
        let lists = users.iter().filter_map(|user| self.users.get(user));
        lists.flatten().copied().collect()
    }

    /// Follows a change of the session under `key` from the head `old` to the head `new`. `None` means that there is
    /// no session.
    pub(super) fn follow(&mut self, key: Key, old: Option<&Head>, new: Option<&Head>) {
        let user = |head: Option<&Head>| head.and_then(|head| head.user);
        let (from, to) = (user(old), user(new));
        if from != to {
            if let Some(user) = from {
                self.leave(user, key);
            }
            if let Some(user) = to {
                self.enter(user, key);
            }
        }
        if let Some(evictions) = &mut self.evictions {
            evictions.follow(key, old, new);
        }
    }

    fn enter(&mut self, user: UserKey, key: Key) {
        let keys = self.users.entry(user).or_default();
        let before = keys.len();
        keys.insert(key);
        if let Some(evictions) = &mut self.evictions {
            evictions.resize(user, before, keys.len());
        }
    }

    fn leave(&mut self, user: UserKey, key: Key) {
        let Some(keys) = self.users.get_mut(&user) else {
            return;
        };
        let before = keys.len();
        keys.remove(&key);
        if let Some(evictions) = &mut self.evictions {
            evictions.resize(user, before, keys.len());
        }
        if keys.is_empty() {
            self.users.remove(&user);
        }
    }

    /// The session to evict, or `None` if there are not too many; see [`Evictions::victim`].
    pub(super) fn victim(&self, spared: Key, now: Timestamp) -> Option<Key> {
        self.evictions.as_ref()?.victim(spared, now)
    }

    /// The number of sessions, for a store with a limit.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.evictions.as_ref().map_or(0, Evictions::count)
    }
}
