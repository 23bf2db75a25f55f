//! The file that makes git ignore the directory.

use std::cell::Cell;
use std::os::unix::fs::symlink;
use std::rc::Rc;

use super::directory::{mode, set_mode};
use super::*;
use crate::store::file::dir::watched::{DirCall, Verdict, Watcher, under};

/// The content of the file in a directory.
pub(super) fn ignored(directory: &Path) -> Option<String> {
    fs::read_to_string(directory.join(".gitignore")).ok()
}

#[test]
fn git_ignores_the_directory() {
    let above = tempfile::tempdir().unwrap();
    let [made, empty, older] = ["made", "empty", "older"].map(|name| above.path().join(name));
    fs::create_dir(&empty).unwrap();
    fs::create_dir_all(older.join("users")).unwrap();
    set_mode(&older, 0o700);
    for path in [&made, &empty, &older] {
        opened(path, Durability::Process).unwrap();
        assert_eq!(ignored(path).as_deref(), Some("*\n"), "{path:?}");
        assert_eq!(mode(&path.join(".gitignore")), 0o600);
    }
}

#[test]
fn the_file_that_git_reads_outlives_sweeps_and_makes_no_directory_a_strangers() {
    let fixture = Fixture::new();
    fixture.create(key(1), &of(1, b""));
    fixture.sweep(NOW + 24 * HOUR);
    fixture.sweep(NOW + 48 * HOUR);
    assert_eq!(ignored(&fixture.root()).as_deref(), Some("*\n"));
    set_mode(&fixture.root(), 0o770);
    opened(&fixture.root(), Durability::Process).unwrap();
    assert_eq!(mode(&fixture.root()), 0o700, "it is closed, not refused");
}

#[test]
fn a_file_for_git_that_is_there_is_left_as_it_is() {
    let above = tempfile::tempdir().unwrap();
    let theirs = above.path().join("theirs");
    fs::write(&theirs, b"theirs").unwrap();
    for name in ["file", "link"] {
        let path = above.path().join(name);
        fs::create_dir(&path).unwrap();
        match name {
            "file" => fs::write(path.join(".gitignore"), b"theirs").unwrap(),
            _ => symlink(&theirs, path.join(".gitignore")).unwrap(),
        }
        opened(&path, Durability::Process).unwrap();
        assert_eq!(ignored(&path).as_deref(), Some("theirs"));
        assert!(path.join(WHOLE).exists(), "it is as good as empty");
    }
}

#[test]
fn a_directory_with_something_else_in_it_gets_no_file_for_git() {
    let above = tempfile::tempdir().unwrap();
    fs::write(above.path().join("letter"), b"").unwrap();
    set_mode(above.path(), 0o700);
    opened(above.path(), Durability::Process).unwrap();
    assert_eq!(ignored(above.path()), None);
}

/// Fails the creation of the file for git, or stops its write behind a byte.
struct NoGitignore {
    is_written: Cell<bool>,
    creates: bool,
}

impl Watcher for NoGitignore {
    fn before(&self, call: &DirCall<'_>) -> Verdict {
        let full = || std::io::ErrorKind::StorageFull.into();
        match call {
            DirCall::Create(".gitignore") if !self.creates => Verdict::Not(full()),
            DirCall::Write(_, b"*\n", 0) => {
                self.is_written.set(true);
                Verdict::Partly(1, full())
            }
            _ => Verdict::Go,
        }
    }
}

#[test]
fn a_file_for_git_that_cannot_be_written_is_no_error_and_is_not_left_by_half() {
    for creates in [false, true] {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("sessions");
        let refusing = Rc::new(NoGitignore {
            is_written: Cell::default(),
            creates,
        });
        let store = under(refusing.clone(), || opened(&path, Durability::Process)).unwrap();
        assert!(now(store.create(key(1), record(b""), NOW)));
        assert_eq!(refusing.is_written.get(), creates);
        assert_eq!(ignored(&path), None);
    }
}
