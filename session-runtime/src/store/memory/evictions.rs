//! The order in which sessions go when there are more than `max_sessions`.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::record::{Head, Key, UserKey};

/// The number of sessions that a user has before those of others go first.
const FAIR: usize = 10;

/// Before every other key and user in a range.
const LEAST: [u8; 16] = [0; 16];

/// All sessions, in the orders in which they may be evicted.
///
/// Each change and each choice takes a time that grows with the logarithm of the number of sessions.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Evictions {
    max: usize,
    /// Every session by its expiry; the anonymous ones stand before those of users.
    expiries: BTreeSet<(bool, Timestamp, Key)>,
    /// The sessions of each user by their creation.
    ages: BTreeSet<(UserKey, Timestamp, Key)>,
    /// The users with more than [`FAIR`] sessions, by the number of their sessions.
    crowds: BTreeSet<(usize, UserKey)>,
}

impl Evictions {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            expiries: BTreeSet::new(),
            ages: BTreeSet::new(),
            crowds: BTreeSet::new(),
        }
    }

    /// Follows a change of the session under `key`.
    pub(super) fn follow(&mut self, key: Key, old: Option<&Head>, new: Option<&Head>) {
        let expiry = |head: &Head| (head.user.is_some(), head.expires, key);
        exchange(&mut self.expiries, old.map(expiry), new.map(expiry));
        let age = |head: &Head| Some((head.user?, head.created, key));
        exchange(&mut self.ages, old.and_then(age), new.and_then(age));
    }

    /// Follows a change of the number of a user's sessions.
    pub(super) fn resize(&mut self, user: UserKey, from: usize, to: usize) {
        let crowd = |count| (count > FAIR).then_some((count, user));
        exchange(&mut self.crowds, crowd(from), crowd(to));
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.expiries.len()
    }

    /// The session to evict, or `None` if there are no more than `max_sessions`.
    ///
    /// The first of these that there is: one that has expired; the oldest of the user with the most sessions, if those
    /// are more than [`FAIR`]; the anonymous one that expires first; the logged-in one that expires first. `spared`
    /// is the session that is being created.
    pub(super) fn victim(&self, spared: Key, now: Timestamp) -> Option<Key> {
        if self.expiries.len() <= self.max {
            return None;
        }
        let (anonymous, logged_in) = (self.soonest(false, spared), self.soonest(true, spared));
        let soonest = anonymous.into_iter().chain(logged_in).min();
        let expired = soonest.filter(|&(expires, _)| expires <= now);
        let victim = expired
            .or_else(|| self.oldest(spared))
            .or(anonymous)
            .or(logged_in);
        victim.map(|(_, key)| key)
    }

    /// The session that expires first, of users or of nobody.
    fn soonest(&self, of_users: bool, spared: Key) -> Option<(Timestamp, Key)> {
        let from = (of_users, Timestamp::default(), Key(LEAST));
        self.expiries
            .range(from..)
            .take_while(|expiry| expiry.0 == of_users)
            .map(|&(_, expires, key)| (expires, key))
            .find(|&(_, key)| key != spared)
    }

    /// The oldest session of the user with the most sessions, if those are more than [`FAIR`].
    fn oldest(&self, spared: Key) -> Option<(Timestamp, Key)> {
        let &(_, user) = self.crowds.last()?;
        let from = (user, Timestamp::default(), Key(LEAST));
        self.ages
            .range(from..)
            .take_while(|age| age.0 == user)
            .map(|&(_, created, key)| (created, key))
            .find(|&(_, key)| key != spared)
    }
}

/// Puts `new` into a set in place of `old`.
fn exchange<T: Ord>(set: &mut BTreeSet<T>, old: Option<T>, new: Option<T>) {
    if old == new {
        return;
    }
    if let Some(old) = &old {
        set.remove(old);
    }
    if let Some(new) = new {
        set.insert(new);
    }
}
