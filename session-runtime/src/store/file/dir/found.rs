//! The files that are found in the directory.

use std::fs::File;

/// The purpose for which a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum For {
    Reading,
    Writing,
}

/// The thing that is found under a name.
#[derive(Debug)]
pub(in super::super) enum Found {
    File(File),
    Nothing,
    /// Not a regular file, so there is no session in it. The text says what it is.
    Stranger(&'static str),
}

/// The facts about an open file.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct FileFacts {
    pub(in super::super) id: FileId,
    pub(in super::super) len: u64,
    /// The reason why it is no session's file, if it is not a regular file of our user.
    pub(in super::super) stranger: Option<&'static str>,
}

/// The identity of a file, which does not change with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}
