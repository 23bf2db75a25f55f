//! What a visitor's session must hold, as far as it was answered.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use crate::app;
use crate::op::{COUNTERS, Done, PILES, TABS};

/// How long after it was sent a request without an answer may still be saved: the store's time-out,
/// with much room.
const DOUBT: Duration = Duration::from_secs(3 * app::STORE_TIMEOUT.as_secs());

/// A session as a request read it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) user: Option<String>,
    pub(crate) data: BTreeMap<String, Value>,
}

impl Seen {
    pub(crate) fn is_empty(&self) -> bool {
        self.user.is_none() && self.data.is_empty()
    }

    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.data.get(key).and_then(Value::as_u64)
    }

    /// The numbers of a pile: one by itself, or the texts of flashes.
    pub(crate) fn pile(&self, key: &str) -> Vec<u64> {
        match self.data.get(key) {
            Some(Value::Array(flashes)) => {
                let texts = flashes.iter().filter_map(|flash| flash["text"].as_str());
                texts.filter_map(|text| text.parse().ok()).collect()
            }
            _ => self.number(key).into_iter().collect(),
        }
    }
}

/// The key of one tab.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    pub(crate) value: Option<u64>,
    /// Values of requests without an answer: any of them may come yet.
    pub(crate) doubtful: Vec<(Instant, u64)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Counter {
    pub(crate) count: u64,
    /// When updates without an answer were sent: each may be counted yet.
    pub(crate) doubtful: Vec<Instant>,
}

/// What is for one only: whoever takes it has all that is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pile {
    pub(crate) there: Vec<u64>,
    /// What requests without an answer left: any of it may come yet.
    pub(crate) doubtful: Vec<(Instant, u64)>,
    /// When requests without an answer were sent that may have taken what is there.
    pub(crate) takers: Vec<Instant>,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) mark: String,
    pub(crate) user: Option<String>,
    pub(crate) counters: [Counter; COUNTERS.len()],
    pub(crate) own: [Own; TABS],
    pub(crate) piles: [Pile; PILES.len()],
    /// The requests that locked the session under this id.
    pub(crate) locking: Vec<Done>,
}

impl Model {
    pub(crate) fn new(mark: String, user: Option<String>) -> Self {
        Self {
            mark,
            user,
            counters: Default::default(),
            own: Default::default(),
            piles: Default::default(),
            locking: Vec::new(),
        }
    }

    /// Forgets what has been too long in coming.
    pub(crate) fn settle(&mut self, now: Instant) {
        let fresh = |sent: Instant| now.duration_since(sent) < DOUBT;
        for counter in &mut self.counters {
            counter.doubtful.retain(|sent| fresh(*sent));
        }
        for own in &mut self.own {
            own.doubtful.retain(|(sent, _)| fresh(*sent));
        }
        for pile in &mut self.piles {
            pile.doubtful.retain(|(sent, _)| fresh(*sent));
            pile.takers.retain(|sent| fresh(*sent));
        }
    }
}
