//! The directory itself: its modes, other things in its place, and its loss under a running service.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::mpsc;

use super::*;
use crate::store::Entry;
use crate::store::file::files::Files;
use crate::store::file::operations;

pub(super) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

pub(super) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The reason for which a directory is refused. The error also names it.
pub(super) fn refusal(path: &Path) -> String {
    let error = opened(path, Durability::Process).err();
    let InitError::Directory {
        path: named,
        source,
    } = error.expect("it is refused")
    else {
        panic!("it is refused for another reason")
    };
    assert!(named.is_absolute(), "{named:?}");
    source.to_string()
}

/// Every directory is 0700 and every file 0600, after all that makes files.
pub(super) fn assert_only_the_owner_may(fixture: &Fixture) {
    let first = of(1, b"first");
    fixture.create(key(1), &first);
    let second = fixture.commit(key(1), &first, &[2; 5000]);
    assert!(matches!(
        now(fixture.store.renew(
            key(1),
            second.head.revision,
            key(2),
            after(&second, b""),
            NOW
        )),
        Commit::Saved
    ));
    fixture.create(key(3), &record(b""));
    fs::write(fixture.path(key(3)), b"damaged").unwrap();
    assert!(matches!(
        now(fixture.store.load(key(3), NOW)),
        Loaded::Nothing
    ));
    let root = fixture.root();
    assert_eq!(mode(&root), 0o700);
    for name in fixture.files() {
        assert_eq!(mode(&root.join(&name)), 0o600, "{name}");
        for dir in Path::new(&name).ancestors().skip(1) {
            assert_eq!(mode(&root.join(dir)), 0o700, "{dir:?}");
        }
    }
    assert_eq!(
        fixture.files().len(),
        5,
        "two sessions, an entry for each, a damaged one"
    );
}

#[test]
fn directories_and_files_are_for_their_owner_only() {
    assert_only_the_owner_may(&Fixture::new());
}

/// There is one umask for a process, so each is tried in a separate process.
#[test]
fn whatever_the_umask() {
    const NAME: &str = "directory::whatever_the_umask";
    if let Some(mask) = child_argument() {
        let mask = rustix::fs::RawMode::from_str_radix(&mask, 8).unwrap();
        let dir = tempfile::tempdir().unwrap();
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
        return assert_only_the_owner_may(&Fixture::at(dir, Durability::Process));
    }
    for mask in ["000", "022", "077", "777"] {
        assert!(
            forks::run(&mut in_child(NAME, mask)).unwrap().success(),
            "{mask}"
        );
    }
}

#[test]
fn a_missing_directory_is_made_and_those_above_it() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("a/b/sessions");
    opened(&path, Durability::Disk).unwrap();
    assert_eq!(mode(&path), 0o700);
    assert_ne!(
        mode(path.parent().unwrap()),
        0o700,
        "those above are not ours alone"
    );
}

#[test]
fn a_directory_that_is_open_to_others_is_closed() {
    let above = tempfile::tempdir().unwrap();
    for open in [0o755, 0o710, 0o701, 0o777] {
        set_mode(above.path(), open);
        opened(above.path(), Durability::Process).unwrap();
        assert_eq!(mode(above.path()), 0o700);
    }
}

/// Somebody's home, or the directory of the project: named by mistake, it is left as it is.
#[test]
fn a_directory_that_is_open_to_others_and_not_empty_is_refused() {
    let above = tempfile::tempdir().unwrap();
    fs::write(above.path().join("letter"), b"").unwrap();
    for open in [0o755, 0o710, 0o701, 0o777] {
        set_mode(above.path(), open);
        assert!(refusal(above.path()).contains("close it with `chmod 700`"));
        assert_eq!(mode(above.path()), open);
    }
    set_mode(above.path(), 0o700);
    opened(above.path(), Durability::Process).unwrap();
}

#[test]
fn what_is_no_directory_of_ours_is_refused_and_the_message_says_what_to_do() {
    let above = tempfile::tempdir().unwrap();
    let [real, link, file] = ["real", "link", "file"].map(|name| above.path().join(name));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    fs::write(&file, b"").unwrap();
    set_mode(&real, 0o755);
    for link in [link.clone(), link.join("."), link.join("")] {
        assert_eq!(
            refusal(&link),
            "it is a symbolic link: name the directory itself"
        );
    }
    assert_eq!(mode(&real), 0o755, "and untouched");
    assert_eq!(
        refusal(&file),
        "it is not a directory: name another one, or remove what is there"
    );
    assert!(refusal(&file.join("sessions")).contains("cannot be created"));
    symlink("/nowhere/at/all", above.path().join("dangling")).unwrap();
    assert_eq!(
        refusal(&above.path().join("dangling")),
        "it is a symbolic link: name the directory itself"
    );
    // Through a link above it is as good as any.
    opened(&link.join("sessions"), Durability::Process).unwrap();
}

#[test]
fn a_directory_of_another_user_is_refused() {
    let above = tempfile::tempdir().unwrap();
    let theirs = above.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    if std::os::unix::fs::chown(&theirs, Some(12345), None).is_err() {
        skipped("only root can give a directory away: none of another user");
        return;
    }
    assert!(refusal(&theirs).contains("belongs to the user with the number 12345"));
}

/// It runs as an ordinary user, since root may write anywhere.
#[test]
fn a_directory_that_is_not_writable_is_refused() {
    const NAME: &str = "directory::a_directory_that_is_not_writable_is_refused";
    if let Some(above) = child_argument() {
        let path = Path::new(&above).join("sessions");
        set_mode(&path, 0o500);
        assert!(
            refusal(&path).contains("it is not writable"),
            "{}",
            refusal(&path)
        );
        set_mode(&path, 0o300);
        assert!(
            refusal(&path).contains("it cannot be opened"),
            "{}",
            refusal(&path)
        );
        set_mode(Path::new(&above), 0o500);
        assert!(refusal(&Path::new(&above).join("new")).contains("it cannot be created"));
        return set_mode(Path::new(&above), 0o700);
    }
    let above = tempfile::tempdir().unwrap();
    fs::create_dir(above.path().join("sessions")).unwrap();
    assert!(as_nobody(NAME, above.path()).success());
}

/// A file that may not be read is an error and not a visitor without a session.
#[test]
fn a_file_or_directory_that_may_not_be_opened_is_an_error() {
    const NAME: &str = "directory::a_file_or_directory_that_may_not_be_opened_is_an_error";
    if let Some(above) = child_argument() {
        let dir = tempfile::tempdir_in(above).unwrap();
        let fixture = Fixture::at(dir, Durability::Process);
        let first = record(b"first");
        fixture.create(key(1), &first);
        let path = fixture.path(key(1));
        for (closed, open) in [
            (path.clone(), 0o600),
            (path.parent().unwrap().to_owned(), 0o700),
            (fixture.root(), 0o700),
        ] {
            set_mode(&closed, 0);
            let failures = [
                error(fixture.store.load(key(1), NOW)),
                error(
                    fixture
                        .store
                        .commit(key(1), first.head.revision, after(&first, b"x"), NOW),
                ),
                error(fixture.store.remove(key(1), NOW)),
            ];
            for failed in failures {
                let StoreError::Io(failed) = failed else {
                    panic!("{failed:?}")
                };
                assert_eq!(failed.kind(), std::io::ErrorKind::PermissionDenied);
                assert!(
                    failed.to_string().starts_with("opening a session file: "),
                    "{failed}"
                );
            }
            set_mode(&closed, open);
            assert_same(&fixture.live(key(1)), &first);
        }
        return;
    }
    let above = tempfile::tempdir().unwrap();
    assert!(as_nobody(NAME, above.path()).success());
}

/// Runs a test again as a user without rights, who owns `above`.
pub(super) fn as_nobody(name: &str, above: &Path) -> std::process::ExitStatus {
    use std::os::unix::process::CommandExt;
    let mut child = in_child(name, above.to_str().unwrap());
    if rustix::process::geteuid().is_root() {
        for path in fs::read_dir(above)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .chain([above.to_owned()])
        {
            std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
        }
        child.uid(65534).gid(65534);
    }
    forks::run(&mut child).unwrap()
}

#[test]
fn a_directory_deleted_under_a_running_service_is_made_again() {
    let fixture = Fixture::new();
    for n in 0..3 {
        fixture.create(key(1), &of(1, b""));
        fs::remove_dir_all(fixture.root()).unwrap();
        match n {
            0 => assert!(matches!(
                now(fixture.store.load(key(1), NOW)),
                Loaded::Nothing
            )),
            1 => assert!(matches!(
                now(fixture
                    .store
                    .commit(key(1), record(b"").head.revision, record(b""), NOW)),
                Commit::Gone
            )),
            _ => assert_eq!(
                fixture.store.sweep(NOW, 1000).unwrap(),
                Slice {
                    deleted: 0,
                    finished: true
                }
            ),
        }
        assert_eq!(mode(&fixture.root()), 0o700);
    }
    fs::remove_dir_all(fixture.root()).unwrap();
    fixture.create(key(2), &record(b"new"));
    assert!(matches!(
        now(fixture.store.load(key(2), NOW)),
        Loaded::Live(_)
    ));
    fs::remove_dir_all(fixture.dir.path()).unwrap();
    fixture.create(key(3), &record(b"those above it too"));
}

#[test]
fn a_directory_replaced_by_another_one_is_that_one_from_then_on() {
    let fixture = Fixture::new();
    fixture.create(key(1), &record(b"old"));
    let aside = fixture.dir.path().join("aside");
    fs::rename(fixture.root(), &aside).unwrap();
    let other = opened(&fixture.root(), Durability::Process).unwrap();
    let new = record(b"new");
    assert!(now(other.create(key(2), new.clone(), NOW)));
    assert_same(&fixture.live(key(2)), &new);
    assert!(matches!(
        now(fixture.store.load(key(1), NOW)),
        Loaded::Nothing
    ));

    fs::rename(fixture.root(), fixture.dir.path().join("aside too")).unwrap();
    fixture.create(key(3), &record(b""));
    assert!(
        fixture.path(key(3)).exists(),
        "created where it is found again"
    );
}

#[test]
fn an_operation_that_takes_long_keeps_nobody_from_a_new_directory() {
    let fixture = Fixture::new();
    let (root, store, files) = (fixture.root(), &fixture.store, &fixture.files);
    let (begin, begun) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    let answered = std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut slow = |_: Files<'_>| {
                begin.send(()).unwrap();
                released.recv().unwrap();
                Ok(())
            };
            files.0.attempt(false, &mut slow).unwrap();
        });
        begun.recv().unwrap();
        fs::remove_dir_all(root).unwrap();
        scope.spawn(move || answer.send(now(store.create(key(1), record(b""), NOW))));
        let answered = answered.recv_timeout(Duration::from_secs(10));
        release.send(()).unwrap();
        answered
    });
    assert_eq!(answered, Ok(true));
}

#[test]
fn what_was_begun_before_somebody_else_replaced_the_directory_is_done_in_the_new_one() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let aside = fixture.dir.path().join("aside");
    fs::rename(fixture.root(), &aside).unwrap();
    let other = opened(&fixture.root(), Durability::Process).unwrap();
    assert!(now(other.create(key(1), record(b"new"), NOW)));
    let mut somebody = Some(|| assert!(matches!(now(store.load(key(1), NOW)), Loaded::Live(_))));
    let mut load = |files: Files<'_>| {
        let result = operations::load(files, key(1));
        if let Some(somebody) = somebody.take() {
            std::thread::scope(|scope| scope.spawn(somebody).join()).unwrap();
        }
        result
    };
    let found = fixture.files.0.attempt(false, &mut load);
    assert!(matches!(found, Ok(Some(Entry::Live(_)))), "{found:?}");
}

#[test]
fn something_else_in_the_place_of_the_directory_is_an_outage_that_ends() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let aside = fixture.dir.path().join("aside");
    fs::rename(fixture.root(), &aside).unwrap();
    for as_link in [false, true] {
        match as_link {
            true => symlink(&aside, fixture.root()).unwrap(),
            false => fs::write(fixture.root(), b"").unwrap(),
        }
        let failures = [
            error(fixture.store.load(key(2), NOW)),
            error(fixture.store.create(key(2), record(b""), NOW)),
            error(
                fixture
                    .store
                    .commit(key(2), first.head.revision, after(&first, b""), NOW),
            ),
            fixture.store.sweep(NOW, 9).unwrap_err(),
        ];
        for failed in failures {
            assert!(
                failed
                    .to_string()
                    .contains(fixture.root().to_str().unwrap()),
                "{failed}"
            );
        }
        fs::remove_file(fixture.root()).unwrap();
    }
    fs::rename(&aside, fixture.root()).unwrap();
    assert_same(&fixture.live(key(1)), &first);
    fixture.create(key(2), &record(b""));
}

/// It runs in a separate process, since there is one working directory for a process.
#[test]
fn a_relative_path_is_the_same_after_a_change_of_the_working_directory() {
    const NAME: &str =
        "directory::a_relative_path_is_the_same_after_a_change_of_the_working_directory";
    if child_argument().is_some() {
        let above = tempfile::tempdir().unwrap();
        std::env::set_current_dir(above.path()).unwrap();
        let store = opened(Path::new("sessions"), Durability::Disk).unwrap();
        fs::create_dir("elsewhere").unwrap();
        std::env::set_current_dir("elsewhere").unwrap();
        assert!(matches!(now(store.load(key(1), NOW)), Loaded::Nothing));
        assert!(now(store.create(key(1), record(b""), NOW)));
        return assert_eq!(fs::read_dir(".").unwrap().count(), 0);
    }
    assert!(forks::run(&mut in_child(NAME, "")).unwrap().success());
}
