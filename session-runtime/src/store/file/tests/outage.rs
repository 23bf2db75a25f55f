//! No room, no descriptors: an error, the old record, and no need to start again.

use std::io::ErrorKind;

use super::*;

/// It runs in a separate process, since the limit is one for a process.
#[test]
fn without_descriptors_it_fails_and_recovers() {
    const NAME: &str = "outage::without_descriptors_it_fails_and_recovers";
    if child_argument().is_none() {
        return assert!(forks::run(&mut in_child(NAME, "")).unwrap().success());
    }
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let fixture = Fixture::new();
    let first = of(1, b"first");
    fixture.create(key(1), &first);
    let usual = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(0),
            ..usual
        },
    )
    .unwrap();
    let failures = [
        error(fixture.store.load(key(1), NOW)),
        error(fixture.store.load(key(2), NOW)),
        error(
            fixture
                .store
                .commit(key(1), first.head.revision, after(&first, b"x"), NOW),
        ),
        error(fixture.store.create(key(2), record(b""), NOW)),
        error(
            fixture
                .store
                .renew(key(1), first.head.revision, key(2), after(&first, b""), NOW),
        ),
        error(fixture.store.remove(key(1), NOW)),
        error(fixture.store.of_user(user(1), NOW)),
        error(fixture.store.remove_user(user(1), Which::All, NOW)),
    ];
    setrlimit(Resource::Nofile, usual).unwrap();
    assert!(
        failures
            .iter()
            .all(|failed| matches!(failed, StoreError::Io(_)))
    );
    assert_same(&fixture.live(key(1)), &first);
    fixture.commit(key(1), &first, b"second");
    assert_eq!(fixture.files().len(), 2);
}

/// A file system of a few pages.
struct Tiny(Fixture);

impl Tiny {
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs"])
            .arg(dir.path())
            .stderr(std::process::Stdio::null());
        if !forks::run(&mut mount).is_ok_and(|status| status.success()) {
            skipped("no file system can be mounted here: no full disk, no read-only one");
            return None;
        }
        Some(Self(Fixture::at(dir, Durability::Process)))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let mut umount = std::process::Command::new("umount");
        let _ = forks::run(umount.arg("-l").arg(self.0.dir.path()));
    }
}

#[test]
fn on_a_full_disk_the_old_records_stay_and_are_still_saved_over() {
    let Some(Tiny(ref fixture)) = Tiny::new() else {
        return;
    };
    let first = of(1, b"first");
    fixture.create(key(1), &first);
    let (mut n, full) = (2, ErrorKind::StorageFull);
    let failed = loop {
        match fixture.store.create(key(n), record(&[0; 500]), NOW) {
            Answer::Now(Ok(true)) => n += 1,
            Answer::Now(Err(error)) => break error,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(failed, StoreError::Io(error) if error.kind() == full));
    let files = fixture.files();
    assert!(!fixture.path(key(n)).exists(), "no half of a file is left");

    // What has its room can be saved, touched and removed.
    let second = fixture.commit(key(1), &first, &[2; 890]);
    let third = fixture.commit(key(1), &second, &[3; 891]);
    now(fixture
        .store
        .touch(key(1), third.head.revision, NOW + 2 * HOUR, NOW));
    let touched = with(third.clone(), |head| head.expires = NOW + 2 * HOUR);
    assert_same(&fixture.live(key(1)), &touched);

    // What needs more cannot, and leaves no trace.
    let grown = error(fixture.store.commit(
        key(1),
        third.head.revision,
        after(&third, &[4; 9000]),
        NOW,
    ));
    assert!(matches!(grown, StoreError::Io(error) if error.kind() == full));
    let renewed =
        error(
            fixture
                .store
                .renew(key(1), third.head.revision, key(n), after(&third, b""), NOW),
        );
    assert!(matches!(renewed, StoreError::Io(error) if error.kind() == full));
    assert_same(&fixture.live(key(1)), &touched);
    assert_eq!(fixture.files(), files);
    assert_eq!(now(fixture.store.of_user(user(1), NOW)).len(), 1);

    // A removal makes no room; the sweeper does, and all goes on.
    assert!(now(fixture.store.remove(key(2), NOW)));
    assert!(now(fixture.store.remove(key(3), NOW)));
    assert_eq!(fixture.sweep(NOW + crate::record::TOMBSTONE), 2);
    let fourth = fixture.commit(key(1), &third, &[4; 1000]);
    assert_same(&fixture.live(key(1)), &fourth);
}

#[test]
fn on_a_disk_that_became_read_only_reading_goes_on_and_writing_is_an_error() {
    let Some(Tiny(ref fixture)) = Tiny::new() else {
        return;
    };
    let first = of(1, b"first");
    fixture.create(key(1), &first);
    let remount = |how: &str| {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-o", &format!("remount,{how}")]);
        let status = forks::run(mount.arg(fixture.dir.path()));
        assert!(status.unwrap().success());
    };
    remount("ro");
    assert_same(&fixture.live(key(1)), &first);
    let failures = [
        error(
            fixture
                .store
                .commit(key(1), first.head.revision, after(&first, b"x"), NOW),
        ),
        error(fixture.store.create(key(2), record(b""), NOW)),
        error(
            fixture
                .store
                .renew(key(1), first.head.revision, key(2), after(&first, b""), NOW),
        ),
        error(fixture.store.remove(key(1), NOW)),
        error(
            fixture
                .store
                .touch(key(1), first.head.revision, NOW + HOUR, NOW),
        ),
    ];
    for failed in failures {
        assert!(
            matches!(failed, StoreError::Io(error) if error.kind() == ErrorKind::ReadOnlyFilesystem)
        );
    }
    let refused = opened(&fixture.root(), Durability::Process)
        .err()
        .unwrap()
        .to_string();
    assert!(refused.contains("it is not writable"), "{refused}");
    remount("rw");
    fixture.commit(key(1), &first, b"second");
}
