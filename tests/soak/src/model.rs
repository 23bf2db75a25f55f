//! What a visitor's session must hold, as far as it was answered.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use crate::app;
use crate::op::TABS;

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
}

/// The key of one tab.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    pub(crate) value: Option<u64>,
    /// Values of requests without an answer: any of them may come yet.
    pub(crate) doubtful: Vec<(Instant, u64)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) mark: String,
    pub(crate) user: Option<String>,
    pub(crate) count: u64,
    /// When updates without an answer were sent: each may be counted yet.
    pub(crate) doubtful: Vec<Instant>,
    pub(crate) own: [Own; TABS],
    pub(crate) gift: Option<u64>,
    /// Whether a claim without an answer may have taken the gift.
    pub(crate) gift_doubtful: bool,
}

impl Model {
    pub(crate) fn new(mark: String, user: Option<String>) -> Self {
        Self {
            mark,
            user,
            count: 0,
            doubtful: Vec::new(),
            own: <[Own; TABS]>::default(),
            gift: None,
            gift_doubtful: false,
        }
    }

    /// Forgets what has been too long in coming.
    pub(crate) fn settle(&mut self, now: Instant) {
        let fresh = |sent: Instant| now.duration_since(sent) < DOUBT;
        self.doubtful.retain(|sent| fresh(*sent));
        for own in &mut self.own {
            own.doubtful.retain(|(sent, _)| fresh(*sent));
        }
    }
}
