//! The standing of a request: the session that it has, if any.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::contents::{self, Contents};
use crate::id::Id;
use crate::record::{Head, Key, Revision, Summary};

/// The relation of a request to the stored sessions.
#[derive(Clone, Debug, Default)]
pub(crate) enum Standing {
    /// A visitor without a session. A change creates one.
    #[default]
    NoSession,
    /// The session ended during this request, or its id was removed or renewed less than a minute ago. Changes are not
    /// saved, because the new cookie would overwrite a better one.
    Ended,
    /// Two live sessions were shown. It is unknown which of them is meant. A change ends both and creates another one,
    /// unless one of them has a user: then only a login does that.
    Ambiguous,
    /// A session.
    Live(Live),
}

impl Standing {
    /// The session.
    pub(crate) fn live(&self) -> Option<&Live> {
        match self {
            Self::Live(live) => Some(live),
            _ => None,
        }
    }

    /// The contents of the session, or empty ones.
    pub(crate) fn contents(&self) -> Arc<Contents> {
        self.live()
            .map_or_else(contents::empty, |live| Arc::clone(&live.contents))
    }
}

/// A session as it is stored, as far as this request knows.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) id: Id,
    pub(crate) key: Key,
    /// The head as it is in the store.
    pub(crate) head: Head,
    pub(crate) contents: Arc<Contents>,
    /// The end of the session by the current settings: never later than `head.expires`.
    pub(crate) ends: Timestamp,
    /// The summary as it is in the record; `None` for a store in this process.
    pub(crate) summary: Option<Summary>,
    /// True if a previous secret signed the token or sealed the record.
    pub(crate) previous: bool,
    /// True if a visit that changes nothing still has something to write.
    pub(crate) due: bool,
    /// The time of the load or the write that returned this.
    pub(crate) looked: Timestamp,
    /// The revisions of writes that failed. One of them may have been done all the same, or may still be done.
    /// A boxed slice, because there are hardly ever any, and a session is moved often.
    pub(crate) tried: Box<[Revision]>,
}

impl Live {
    /// Notes that the record was just written under the current secret, and that its cookie is up to date.
    pub(super) fn was_kept(&mut self) {
        (self.previous, self.due) = (false, false);
    }
}
