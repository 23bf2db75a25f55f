//! Requests that take turns: the lease of a session, and the file that stands for it.

use super::*;
use crate::store::file::file_name::LOCKS;

fn lock_files(fixture: &Fixture) -> usize {
    let files = fixture.files();
    files.iter().filter(|name| name.starts_with(LOCKS)).count()
}

#[test]
fn the_sweeper_deletes_what_a_crash_left_and_no_lock_that_is_held() {
    let fixture = Fixture::new();
    let lease = now(fixture.store.lock(key(1))).expect("it is free");
    let left = fixture.root().join(FileName::lock(key(2)).as_str());
    fs::write(&left, "").unwrap();
    let foreign = fixture.root().join(LOCKS).join("README");
    fs::write(&foreign, "").unwrap();
    assert_eq!(fixture.sweep(NOW), 1);
    assert!(!left.exists() && foreign.exists());
    assert!(
        now(fixture.store.lock(key(1))).is_none(),
        "it is held still"
    );
    drop(lease);
    assert_eq!(lock_files(&fixture), 1, "the foreign one");
}

#[test]
fn a_file_that_a_crash_left_is_the_next_ones() {
    let fixture = Fixture::new();
    drop(now(fixture.store.lock(key(1))));
    let left = fixture.root().join(FileName::lock(key(1)).as_str());
    fs::write(&left, "").unwrap();
    drop(now(fixture.store.lock(key(1))).expect("nobody has it"));
    assert!(!left.exists());
}

#[test]
#[cfg(unix)]
fn what_is_in_the_place_of_a_lock_is_an_error_and_no_lock() {
    let fixture = Fixture::new();
    drop(now(fixture.store.lock(key(1))));
    let place = fixture.root().join(FileName::lock(key(1)).as_str());
    let elsewhere = fixture.dir.path().join("elsewhere");
    fs::write(&elsewhere, "").unwrap();
    std::os::unix::fs::symlink(&elsewhere, &place).unwrap();
    let text = error(fixture.store.lock(key(1))).to_string();
    assert!(text.contains("a symbolic link: delete it"), "{text}");
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    let text = error(fixture.store.lock(key(1))).to_string();
    assert!(text.contains("a directory: delete it"), "{text}");
}

#[test]
#[cfg(unix)]
fn locks_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    let _lease = now(fixture.store.lock(key(1))).expect("it is free");
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(fixture.root().join(LOCKS)), 0o700);
    assert_eq!(
        mode(fixture.root().join(FileName::lock(key(1)).as_str())),
        0o600
    );
}

#[test]
#[cfg(unix)]
fn a_directory_that_was_deleted_is_made_anew_for_a_lock() {
    let fixture = Fixture::new();
    let lost = now(fixture.store.lock(key(1))).expect("it is free");
    fs::remove_dir_all(fixture.root()).unwrap();
    let found = now(fixture.store.lock(key(1))).expect("nobody has it there");
    drop(lost);
    assert_eq!(lock_files(&fixture), 1, "the one of the new directory");
    drop(found);
}
