//! The manner of a store: its choices where the contract leaves one, and its defect.

/// The time at which a store takes a key off a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unlists {
    /// In the step that ends or deletes the session.
    AtOnce,
    /// By a message that arrives at any time after the session has ended.
    Late,
    /// In the step that deletes its tombstone.
    WithTombstone,
}

/// A defect of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// A swap at a revision is also done at any other revision.
    AnyRevision,
    /// A swap at a revision is done though the session has expired.
    Expired,
    /// A swap that expects nothing is done over a tombstone.
    OverTombstone,
    /// A call that was sent twice and finds something else counts as not done, without a proof.
    UnprovenFound,
    /// A full store deletes a session instead of giving it a tombstone with a successor.
    FullForgets,
    /// A late message takes a key off its list after its renewal was undone.
    UnlistsUndone,
    /// The undo of a renewal leaves a tombstone.
    UndoLeavesTombstone,
    /// A renewal is undone after an error.
    UndoAfterError,
    /// An end does not check which user has the session.
    AnybodysEnd,
    /// A sweep deletes entries that were over when it read them, even if they have changed since then.
    BlindSweep,
    /// Tombstones are kept until somebody reads a list.
    ShortTombstones,
    /// The lists under several keys of a user are read one after another.
    UserByUser,
    /// A session is put on its list after its record is written.
    ListedLast,
}

/// The manner of a store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Puts a key on its list in a separate step, before the record is written.
    pub(super) apart: bool,
    /// Reads a list, or all entries, key by key, new keys first.
    pub(super) walks: bool,
    /// Reads the keys of a list first, and then each entry in a separate step.
    pub(super) names_first: bool,
    pub(super) unlists: Unlists,
    pub(super) flaw: Option<Flaw>,
}

impl Manner {
    pub(super) fn is_flawed(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}
