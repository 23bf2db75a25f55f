//! The changes of a request, in a form that can be applied to any state of the session.

use std::sync::Arc;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::contents::{self, Contents};
use crate::error::Result;
use crate::few::Few;
use crate::flash::Flash;
use crate::lifetime::Lifetime;
use crate::one_line::OneLine;

/// The changes of one connection: the contents at its start, the contents at its end, and what happened between.
#[derive(Clone)]
pub(crate) struct Changes {
    pub(crate) before: Arc<Contents>,
    pub(crate) after: Arc<Contents>,
    pub(crate) updates: Vec<Update>,
    /// The number of flashes that were left: the last ones in `after`.
    pub(crate) flashed: usize,
    /// True if the old session is removed. The other changes start from empty contents.
    pub(crate) purge: bool,
    /// True if the session gets a new id.
    pub(crate) renew: bool,
    /// True if a user logged in: `after` names the user. A login brings a new id, too.
    pub(crate) login: bool,
    /// True if a login removed the data of another user. Applying the changes removes the stored data again.
    pub(crate) emptied: bool,
}

impl Changes {
    /// A purge and nothing else.
    pub(crate) fn purge() -> Self {
        Self {
            purge: true,
            ..Self::between(contents::empty(), contents::empty())
        }
    }

    /// The changes from one state to another.
    pub(crate) fn between(before: Arc<Contents>, after: Arc<Contents>) -> Self {
        Self {
            before,
            after,
            updates: Vec::new(),
            flashed: 0,
            purge: false,
            renew: false,
            login: false,
            emptied: false,
        }
    }

    /// Drops changes that do not count: those that were undone, and an update whose result was overwritten.
    pub(crate) fn tidied(mut self) -> Self {
        let before = &self.before;
        if Arc::ptr_eq(before, &self.after) {
            return self;
        }
        if self.flashed == 0 && self.after == *before {
            self.after = Arc::clone(before);
        }
        // A store in this process keeps these contents for as long as the session lasts.
        if let Some(after) = Arc::get_mut(&mut self.after) {
            after.data.shrink_to_fit();
            after.data.measure();
        }
        let after = &self.after;
        self.updates
            .retain(|update| after.data[&*update.key] == update.result);
        self
    }

    /// True if a user logged in or the contents differ. If they do not differ, the two states are the same `Arc`.
    pub(crate) fn edits(&self) -> bool {
        self.login || !Arc::ptr_eq(&self.before, &self.after)
    }

    /// True if a visitor who has no session gets one by these changes. A note or an idle timeout alone is about nothing.
    pub(crate) fn begins(&self) -> bool {
        self.login || !self.after.data.is_empty() || !self.after.flashes.is_empty()
    }

    /// True if what was stored before is gone with these changes, as far as a connection knows.
    pub(crate) fn empties(&self) -> bool {
        self.purge || self.emptied
    }

    /// True if there is nothing to save.
    pub(crate) fn is_empty(&self) -> bool {
        !self.purge && !self.renew && !self.edits()
    }

    /// Keeps only the changes that count after a failed request: a purge and a renewal. A login remains as a renewal.
    pub(crate) fn without_edits(mut self) -> Self {
        self.renew |= self.login;
        self.login = false;
        self.after = Arc::clone(&self.before);
        self.updates.clear();
        self.flashed = 0;
        self
    }

    /// Takes out the update of `key` if it starts from the stored value. The remaining changes are then the same as
    /// without that update.
    pub(crate) fn take_update(&mut self, key: &str) -> Option<Update> {
        let is_it = |update: &Update| update.is_of(key);
        let update = self
            .updates
            .swap_remove(self.updates.iter().position(is_it)?);
        let after = &mut Arc::make_mut(&mut self.after).data;
        match self.before.data.get(key) {
            Some(value) => drop(after.insert(key, value.clone())),
            None => drop(after.remove(key)),
        }
        if self.after == self.before {
            self.after = Arc::clone(&self.before);
        }
        Some(update)
    }

    /// Takes out the flashes that were left. The remaining changes are then the same as without them.
    pub(crate) fn take_flashes(&mut self) -> Vec<Flash> {
        let left = self.left_flashes().to_vec();
        if !left.is_empty() {
            self.flashed = 0;
            let waiting = &mut Arc::make_mut(&mut self.after).flashes;
            waiting.clone_from(&self.before.flashes);
            if self.after == self.before {
                self.after = Arc::clone(&self.before);
            }
        }
        left
    }

    fn left_flashes(&self) -> &[Flash] {
        let waiting = self.after.flashes.as_slice();
        &waiting[waiting.len() - self.flashed..]
    }

    /// Applies the changes to the latest state of the session.
    pub(crate) fn apply(
        &self,
        latest: &Arc<Contents>,
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Arc<Contents> {
        if !self.purge && !self.login && Arc::ptr_eq(&self.before, latest) {
            return Arc::clone(&self.after);
        }
        let mut contents = if self.purge {
            Contents::default()
        } else {
            Contents::clone(latest)
        };
        if self.login {
            let other = contents.user.is_some() && contents.user != self.after.user;
            if other || self.emptied {
                contents = Contents {
                    created: contents.created,
                    ..Contents::default()
                };
            }
            contents.user.clone_from(&self.after.user);
            contents.authenticated = Some(now);
            contents.deadline = lifetime.deadline_from(now);
        }
        if self.after.idle != self.before.idle {
            contents.idle = self.after.idle;
        }
        if self.after.note != self.before.note {
            contents.note.clone_from(&self.after.note);
        }
        self.edit(&mut contents);
        Arc::new(contents)
    }

    /// Returns the keys that are set or removed, whatever another request has stored there meanwhile.
    fn set_keys(&self) -> impl Iterator<Item = &str> {
        let (before, after) = (&self.before.data, &self.after.data);
        let set = after
            .iter()
            .filter(|(key, value)| before.get(key) != Some(*value));
        let removed = before.iter().filter(|(key, _)| !after.contains_key(key));
        let keys = set.chain(removed).map(|(key, _)| key);
        keys.filter(|key| !self.updates.iter().any(|update| update.is_of(key)))
    }

    /// Returns the keys that another request changed from `seen` to `latest`, and that these changes then set to
    /// something else: the last write wins.
    pub(crate) fn overwritten<'c>(
        &'c self,
        seen: &'c Contents,
        latest: &'c Contents,
    ) -> impl Iterator<Item = &'c str> {
        let own = &self.after.data;
        self.set_keys().filter(move |key| {
            let theirs = latest.data.get(key);
            theirs != seen.data.get(key) && theirs != own.get(key)
        })
    }

    fn edit(&self, contents: &mut Contents) {
        for key in self.set_keys() {
            contents.data.insert(key, self.after.data[key].clone());
        }
        if self.flashed > 0 {
            contents.flashes.add(self.left_flashes().iter().cloned());
        }
        for update in &self.updates {
            match update.replay(contents.data.get(&update.key)) {
                Ok(value) => drop(contents.data.insert(&update.key, value)),
                Err(error) => {
                    tracing::warn!(target: "bsession", key = &*update.key, error = %OneLine(&error), "update_not_replayed");
                }
            }
        }
    }
}

/// A step of an [`Update`]: makes the new value from the old one.
pub(crate) type Step = Arc<dyn Fn(Option<&Value>) -> Result<Value> + Send + Sync>;

/// The closures that `update` was given for one key. They are kept so that they can run again on a later value.
#[derive(Clone)]
pub(crate) struct Update {
    pub(crate) key: Arc<str>,
    pub(crate) start: Start,
    pub(crate) steps: Few<Step>,
    /// Their result in this request, Null if they removed the key. If the key has another value at the end, it was set
    /// afterwards.
    pub(crate) result: Value,
}

/// The value from which a replay starts.
#[derive(Clone)]
pub(crate) enum Start {
    /// The value that the session has at the time of the replay.
    Latest,
    /// The value that this request had set before the first closure; `None` if it had removed the key.
    Own(Option<Value>),
}

impl Update {
    /// True if it updates this key and starts from the stored value.
    pub(crate) fn is_of(&self, key: &str) -> bool {
        &*self.key == key && matches!(self.start, Start::Latest)
    }

    pub(crate) fn replay(&self, latest: Option<&Value>) -> Result<Value> {
        let mut value = match &self.start {
            Start::Latest => latest.cloned(),
            Start::Own(value) => value.clone(),
        };
        for step in &self.steps {
            value = Some(step(value.as_ref())?);
        }
        Ok(value.unwrap_or_default())
    }
}
