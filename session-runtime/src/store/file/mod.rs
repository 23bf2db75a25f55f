//! The file store: one file a session, two halves a file, one lock for those who write.
//!
//! | module | |
//! |---|---|
//! | `settings` | what people write: the directory, and what a save survives |
//! | `open_files`, `shared_dir` | the store itself, and the directory that its operations share |
//! | `files` | what one operation gets: the open directory, its path and the durability |
//! | `opening`, `location` | the first look at a directory, and warnings of places that do not last |
//! | `operations`, `listing` | what the store does with one session, and with many |
//! | `locked_file`, `layout`, `checksum`, `buffer` | the file of a session: its lock, its format, its bytes |
//! | `index` | the list of each user |
//! | `lease` | the lock that a request holds while its handler runs |
//! | `sweep` | the sweeper |
//! | `pace` | the speed of the disk, which decides on which thread an operation runs |
//! | `file_name`, `stop` | the names of files, and the reasons why an operation ends early |
//! | `dir` | how everything is opened, and so all hardening |
//!
//! Each operation costs these system calls, each with its reason. An entry on the list of a user comes on top where it
//! changes:
//!
//! | | |
//! |---|---|
//! | load | open, statx (owner and length), pread (both halves at once), close |
//! | commit, end, touch | open, flock, statx, statx of the path (it still names this file), pread (the record that is replaced), pwrite, close; a touch of a user's session also looks whether it is on their list |
//! | create | stat (the directory is still there), open, fstat (the mode, whatever the umask), flock, pwrite, close |
//! | renew | those of a commit, and between its pread and its pwrite those of a creation |
//! | lock | open, fstat (as a creation), flock, statx, statx of the path (as a commit); given back: unlink, close |
//!
//! Only the disk can block a call. The pages of a session in use are in memory, and one `spawn_blocking` costs more than
//! a whole commit. So the thread that serves the request makes the calls itself, unless the disk is slow or has to be
//! waited for: see `pace`.

mod buffer;
mod checksum;
mod dir;
mod file_name;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod index;
mod layout;
mod lease;
mod listing;
mod location;
mod locked_file;
mod open_files;
mod opening;
mod operations;
mod pace;
mod settings;
mod shared_dir;
mod stop;
mod sweep;
#[cfg(test)]
mod tests;

pub use self::settings::{Durability, FileStore};
