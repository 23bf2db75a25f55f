//! Tests of the file store: the contract where it concerns files, and every way in which a file can be wrong.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

#[cfg(target_os = "linux")]
mod calls;
mod concurrency;
mod contract;
mod damage;
#[cfg(unix)]
mod directory;
#[cfg(unix)]
mod events;
pub(crate) mod forks;
#[cfg(unix)]
mod gitignore;
mod layout;
mod leases;
mod moving;
#[cfg(unix)]
mod outage;
mod pace;
#[cfg(unix)]
mod surroundings;
mod sweeping;
mod users;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::file_name::{FileName, GITIGNORE, WHOLE};
use super::open_files::OpenFiles;
use super::settings::{Durability, FileStore};
use crate::clock::Timestamp;
use crate::error::InitError;
use crate::record::{Body, Handle, Head, Key, Record, Revision, Summary, UserKey};
use crate::store::asked::{Asked, Slice};
use crate::store::{Answer, Commit, Loaded, StoreError, Which};

/// The moment at which tests happen, unless they say otherwise.
const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

/// A store in a new directory.
struct Fixture {
    dir: tempfile::TempDir,
    files: OpenFiles,
    store: Asked,
    _quiet: forks::Quiet,
}

impl Fixture {
    fn new() -> Self {
        Self::with(Durability::Process)
    }

    fn with(durability: Durability) -> Self {
        Self::at(tempfile::tempdir().unwrap(), durability)
    }

    fn at(dir: tempfile::TempDir, durability: Durability) -> Self {
        let _quiet = forks::Quiet::new();
        let files = FileStore::at(dir.path().join("sessions")).durability(durability);
        let files = files.open().unwrap();
        let store = Asked::new(Arc::new(files.clone()));
        Self {
            dir,
            files,
            store,
            _quiet,
        }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("sessions")
    }

    fn path(&self, key: Key) -> PathBuf {
        self.root().join(FileName::session(key).as_str())
    }

    fn create(&self, key: Key, record: &Record) {
        assert!(now(self.store.create(key, record.clone(), NOW)));
    }

    fn live(&self, key: Key) -> Record {
        match now(self.store.load(key, NOW)) {
            Loaded::Live(record) => record,
            other => panic!("{key} is not live: {other:?}"),
        }
    }

    fn commit(&self, key: Key, over: &Record, body: &[u8]) -> Record {
        let record = after(over, body);
        let committed = now(self
            .store
            .commit(key, over.head.revision, record.clone(), NOW));
        assert!(matches!(committed, Commit::Saved), "{committed:?}");
        record
    }

    /// A whole pass, in slices.
    fn sweep(&self, at: Timestamp) -> usize {
        let mut deleted = 0;
        loop {
            let Slice {
                deleted: here,
                finished,
            } = self.store.sweep(at, 16).unwrap();
            deleted += here;
            if finished {
                return deleted;
            }
        }
    }

    /// All files of sessions, by their names relative to the directory.
    fn files(&self) -> Vec<String> {
        fn add(dir: &Path, root: &Path, names: &mut Vec<String>) {
            for entry in fs::read_dir(dir).unwrap() {
                let entry = entry.unwrap();
                match entry.file_type().unwrap().is_dir() {
                    true => add(&entry.path(), root, names),
                    false => names.push(
                        entry
                            .path()
                            .strip_prefix(root)
                            .unwrap()
                            .to_str()
                            .unwrap()
                            .to_owned(),
                    ),
                }
            }
        }
        let mut names = Vec::new();
        add(&self.root(), &self.root(), &mut names);
        names.retain(|name| ![WHOLE, GITIGNORE].contains(&name.as_str()));
        names.sort();
        names
    }
}

fn key(n: u8) -> Key {
    Key(std::array::from_fn(|i| {
        n.wrapping_mul(37).wrapping_add(i as u8)
    }))
}

fn user(n: u8) -> UserKey {
    UserKey([n; 16])
}

fn record(body: &[u8]) -> Record {
    Record {
        head: Head {
            revision: Revision::first(),
            expires: NOW + HOUR,
            seen: NOW,
            created: NOW,
            handle: Handle([7; 12]),
            user: None,
        },
        summary: None,
        body: Body::from_bytes(body),
    }
}

fn of(who: u8, body: &[u8]) -> Record {
    Record {
        summary: Some(Summary::from_bytes([who; 5])),
        ..with(record(body), |head| head.user = Some(user(who)))
    }
}

/// The same session, one revision later.
fn after(record: &Record, body: &[u8]) -> Record {
    Record {
        body: Body::from_bytes(body),
        ..with(record.clone(), |head| {
            head.revision = record.head.revision.next()
        })
    }
}

/// A record with another head.
fn with(mut record: Record, change: impl FnOnce(&mut Head)) -> Record {
    change(&mut record.head);
    record
}

#[track_caller]
fn assert_same(found: &Record, expected: &Record) {
    let fields = |record: &Record| {
        (
            record.head,
            record.summary.as_ref().map(|it| it.as_bytes().to_vec()),
            record.body.as_bytes().to_vec(),
        )
    };
    assert_eq!(fields(found), fields(expected));
}

/// Another store on a directory, as another process has it.
fn opened(path: &Path, durability: Durability) -> Result<Asked, InitError> {
    let files = FileStore::at(path).durability(durability).open()?;
    Ok(Asked::new(Arc::new(files)))
}

/// An answer that needs no waiting.
#[track_caller]
fn now<T>(answer: Answer<'_, T>) -> T {
    match answer {
        Answer::Now(result) => result.unwrap(),
        Answer::Later(_) => panic!("it waits"),
    }
}

#[track_caller]
fn error<T: std::fmt::Debug>(answer: Answer<'_, T>) -> StoreError {
    match answer {
        Answer::Now(result) => result.unwrap_err(),
        Answer::Later(_) => panic!("it waits"),
    }
}

/// An answer that may have to be waited for.
fn wait<T: Unpin>(answer: Answer<'_, T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(answer).unwrap()
}

/// Says that something could not be tested, past what keeps the output of tests that pass.
#[cfg(unix)]
fn skipped(why: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(format!("SKIPPED: {why}\n").as_bytes());
}

/// Runs a test of this module again, in a separate process. `name` is relative to this module.
#[cfg(unix)]
fn in_child(name: &str, argument: &str) -> std::process::Command {
    let module = module_path!().split_once("::").unwrap().1;
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            &format!("{module}::{name}"),
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CHILD, argument)
        .stdout(std::process::Stdio::null());
    command
}

/// The argument of `in_child`, in the process that it made.
#[cfg(unix)]
fn child_argument() -> Option<String> {
    std::env::var(CHILD).ok()
}

#[cfg(unix)]
const CHILD: &str = "BSESSION_FILE_STORE_CHILD";
