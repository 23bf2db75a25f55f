//! The manner of a store: its ways where the contract leaves them open, and its defects.

/// The time at which a store takes a key off a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unlists {
    /// In the step that ends or deletes the session.
    AtOnce,
    /// By a message that arrives at any later time, if the session ended.
    Late,
    /// In the step that deletes its tombstone.
    WithTombstone,
}

/// A defect of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// A swap at a revision is done at any other.
    AnyRevision,
    /// A swap at a revision is done though the session has expired.
    Expired,
    /// A swap that expects nothing is done over a tombstone.
    OverTombstone,
    /// A resent call that finds something else is taken for not done, without a proof.
    UnprovenFound,
    /// A full store deletes a session instead of giving it a tombstone with a successor.
    FullForgets,
    /// A late message takes a key off its list whose renewal was undone.
    UnlistsUndone,
    /// The undo of a renewal leaves a tombstone.
    UndoLeavesTombstone,
    /// A renewal is undone after an error.
    UndoAfterError,
    /// An end does not look at whose session it is.
    AnybodysEnd,
    /// A sweep deletes what was over when it looked.
    BlindSweep,
    /// Tombstones are kept until somebody reads a list.
    ShortTombstones,
    /// A list of several keys of a user is read one user key after the other.
    UserByUser,
    /// A session is put on its list after it is there.
    ListedLast,
}

/// The manner of a store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Puts a key on its list in a step of its own, before the record.
    pub(super) apart: bool,
    /// Reads a list or all entries key by key, the new ones first.
    pub(super) walks: bool,
    /// Reads the entries of a list after the keys, each in a step of its own.
    pub(super) names_first: bool,
    pub(super) unlists: Unlists,
    pub(super) flaw: Option<Flaw>,
}

impl Manner {
    pub(super) fn is_flawed(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}
