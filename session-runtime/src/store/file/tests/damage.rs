//! Other things in the place of a session's file.

use super::*;
use crate::store::file::buffer::Buffer;
use crate::store::file::file_name::DAMAGED;

/// Everything that can be asked of a key that is not live, and that none of it wrote.
fn assert_is_nothing(fixture: &Fixture, key: Key) {
    let some = record(b"");
    assert!(matches!(now(fixture.store.load(key, NOW)), Loaded::Nothing));
    assert!(matches!(
        now(fixture
            .store
            .commit(key, some.head.revision, after(&some, b"x"), NOW)),
        Commit::Gone
    ));
    assert!(matches!(
        now(fixture.store.renew(
            key,
            some.head.revision,
            super::key(200),
            after(&some, b"x"),
            NOW
        )),
        Commit::Gone
    ));
    now(fixture
        .store
        .touch(key, some.head.revision, NOW + HOUR, NOW));
    assert!(!now(fixture.store.remove(key, NOW)));
    assert!(!fixture.path(super::key(200)).exists());
}

fn make_bucket(fixture: &Fixture, key: Key) {
    fs::create_dir_all(fixture.path(key).parent().unwrap()).unwrap();
}

#[test]
fn a_file_of_something_else_is_set_aside_whole() {
    let fixture = Fixture::new();
    make_bucket(&fixture, key(1));
    for bytes in [
        &b"\0"[..],
        b"B",
        b"BSESSN\0\x01",
        &[0; 2048],
        &[0xFF; 10_000],
        b"a note by the administrator\n",
    ] {
        fs::write(fixture.path(key(1)), bytes).unwrap();
        assert_is_nothing(&fixture, key(1));
        assert_eq!(fixture.files(), [FileName::damaged(key(1)).as_str()]);
        assert_eq!(
            fs::read(fixture.root().join(FileName::damaged(key(1)).as_str())).unwrap(),
            bytes
        );
    }
}

#[test]
fn an_empty_file_is_being_created_and_left_alone() {
    let fixture = Fixture::new();
    make_bucket(&fixture, key(1));
    fs::write(fixture.path(key(1)), b"").unwrap();
    assert_is_nothing(&fixture, key(1));
    assert_eq!(fixture.files(), [FileName::session(key(1)).as_str()]);
    assert!(!now(fixture.store.create(key(1), record(b""), NOW)));
}

/// One that is being written is locked: then nobody sets it aside.
#[test]
fn a_file_that_is_torn_only_because_it_is_being_written_is_waited_for() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let whole = fs::read(fixture.path(key(1))).unwrap();
    let writer = fs::File::options()
        .write(true)
        .open(fixture.path(key(1)))
        .unwrap();
    writer.lock().unwrap();
    writer.set_len(100).unwrap();
    let answer = fixture.store.load(key(1), NOW);
    assert!(matches!(answer, Answer::Later(_)));
    fs::write(fixture.path(key(1)), whole).unwrap();
    drop(writer);
    assert!(matches!(wait(answer), Loaded::Live(_)));
}

#[test]
fn a_gigabyte_of_holes_is_not_read() {
    let fixture = Fixture::new();
    make_bucket(&fixture, key(1));
    let length = 1 << 30;
    let file = fs::File::create_new(fixture.path(key(1))).unwrap();
    file.set_len(length).unwrap();
    let file = fs::File::open(fixture.path(key(1))).unwrap();
    assert_eq!(Buffer::take().read(&file, length).unwrap().len(), 80);
    assert_is_nothing(&fixture, key(1));

    let first = record(b"first");
    fixture.create(key(2), &first);
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(fixture.path(key(2)))
        .unwrap();
    file.set_len(length).unwrap();
    assert_eq!(Buffer::take().read(&file, length).unwrap().len(), 2048);
    assert_same(&fixture.live(key(2)), &first);
    let second = fixture.commit(key(2), &first, b"second");
    assert_same(&fixture.live(key(2)), &second);
}

#[test]
fn a_buffer_that_was_large_once_is_not_kept() {
    drop(Buffer::take());
    let large = {
        let mut buffer = Buffer::take();
        buffer.dirty(1 << 20).as_ptr()
    };
    let mut buffer = Buffer::take();
    assert_ne!(buffer.dirty(16).as_ptr(), large);
    let usual = buffer.dirty(4096).as_ptr();
    drop(buffer);
    assert_eq!(Buffer::take().dirty(4096).as_ptr(), usual);
}

#[test]
fn a_session_set_aside_twice_is_kept_once() {
    let fixture = Fixture::new();
    make_bucket(&fixture, key(1));
    for bytes in [b"once", b"more"] {
        fs::write(fixture.path(key(1)), bytes).unwrap();
        assert_is_nothing(&fixture, key(1));
    }
    assert_eq!(
        fs::read_dir(fixture.root().join(DAMAGED)).unwrap().count(),
        1
    );
}

#[test]
fn a_file_removed_by_hand_is_a_session_that_ended() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    fs::remove_file(fixture.path(key(1))).unwrap();
    assert_is_nothing(&fixture, key(1));
    assert!(matches!(
        now(fixture
            .store
            .commit(key(1), first.head.revision, after(&first, b"x"), NOW)),
        Commit::Gone
    ));
    assert!(fixture.files().is_empty());
}

#[cfg(unix)]
mod strangers {
    use std::os::unix::fs::{FileTypeExt, symlink};

    use super::*;

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let fixture = Fixture::new();
        let outside = fixture.dir.path().join("outside");
        let first = record(b"first");
        fixture.create(key(1), &first);
        fs::rename(fixture.path(key(1)), &outside).unwrap();
        let bytes = fs::read(&outside).unwrap();
        for target in [
            outside.as_path(),
            Path::new("/dev/zero"),
            Path::new("/nowhere"),
        ] {
            symlink(target, fixture.path(key(1))).unwrap();
            assert_is_nothing(&fixture, key(1));
            assert!(matches!(
                now(fixture
                    .store
                    .commit(key(1), first.head.revision, after(&first, b"x"), NOW)),
                Commit::Gone
            ));
            assert!(!now(fixture.store.create(key(1), record(b""), NOW)));
            assert_eq!(fixture.sweep(Timestamp::MAX), 0);
            assert_eq!(fs::read_link(fixture.path(key(1))).unwrap(), target);
            fs::remove_file(fixture.path(key(1))).unwrap();
        }
        assert_eq!(fs::read(&outside).unwrap(), bytes);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_symbolic_link_in_the_place_of_a_directory_inside_is_not_followed() {
        let fixture = Fixture::new();
        let first = record(b"first");
        fixture.create(key(1), &first);
        let bucket = fixture.path(key(1)).parent().unwrap().to_owned();
        let outside = fixture.dir.path().join("outside");
        fs::rename(&bucket, &outside).unwrap();
        symlink(&outside, &bucket).unwrap();
        assert_is_nothing(&fixture, key(1));
        let beside = Key([key(1).0[0]; 16]);
        error(fixture.store.create(beside, record(b""), NOW));
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        // It is told, and the sweep goes on behind it.
        fixture.create(key(9), &record(b""));
        let mut results = Vec::new();
        loop {
            let result = fixture.store.sweep(NOW + 2 * HOUR, 100);
            let finished = matches!(result, Ok(Slice { finished: true, .. }));
            results.push(result);
            if finished || results.len() > 9 {
                break;
            }
        }
        assert!(results.iter().any(Result::is_err));
        assert!(!fixture.path(key(9)).exists());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_is_no_session() {
        let fixture = Fixture::new();
        fs::create_dir_all(fixture.path(key(1))).unwrap();
        assert_is_nothing(&fixture, key(1));
        assert_eq!(fixture.sweep(Timestamp::MAX), 0);
        assert!(fixture.path(key(1)).is_dir());
    }

    #[test]
    fn a_fifo_is_no_session_and_nobody_waits_for_its_other_end() {
        let fixture = Fixture::new();
        make_bucket(&fixture, key(1));
        let mut mkfifo = std::process::Command::new("mkfifo");
        let made = forks::run(mkfifo.arg(fixture.path(key(1))));
        assert!(made.unwrap().success());
        assert_is_nothing(&fixture, key(1));
        assert_eq!(fixture.sweep(Timestamp::MAX), 0);
        assert!(
            fs::metadata(fixture.path(key(1)))
                .unwrap()
                .file_type()
                .is_fifo()
        );
    }

    #[test]
    fn a_socket_is_no_session() {
        let fixture = Fixture::new();
        make_bucket(&fixture, key(1));
        // A socket's path has room for a hundred bytes only, so it is made elsewhere.
        let place = fixture.dir.path().join("socket");
        let _socket = std::os::unix::net::UnixListener::bind(&place).unwrap();
        fs::rename(place, fixture.path(key(1))).unwrap();
        assert_is_nothing(&fixture, key(1));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_device_is_no_session() {
        use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
        let fixture = Fixture::new();
        make_bucket(&fixture, key(1));
        // The same as `/dev/zero`.
        let made = mknodat(
            CWD,
            fixture.path(key(1)),
            FileType::CharacterDevice,
            Mode::RWXU,
            makedev(1, 5),
        );
        if made.is_err() {
            skipped("only root can make a device: none in the place of a file");
            return;
        }
        assert_is_nothing(&fixture, key(1));
        assert!(
            fs::metadata(fixture.path(key(1)))
                .unwrap()
                .file_type()
                .is_char_device()
        );
    }

    #[test]
    fn a_file_of_another_user_is_no_session() {
        let fixture = Fixture::new();
        let first = record(b"first");
        fixture.create(key(1), &first);
        if std::os::unix::fs::chown(fixture.path(key(1)), Some(12345), None).is_err() {
            skipped("only root can give a file away: none of another user");
            return;
        }
        assert_is_nothing(&fixture, key(1));
        assert!(matches!(
            now(fixture
                .store
                .commit(key(1), first.head.revision, after(&first, b"x"), NOW)),
            Commit::Gone
        ));
        assert_eq!(fixture.sweep(Timestamp::MAX), 0);
    }

    #[test]
    fn a_file_in_the_place_of_a_directory_inside_is_no_session() {
        let fixture = Fixture::new();
        fs::write(fixture.path(key(1)).parent().unwrap(), b"").unwrap();
        assert_is_nothing(&fixture, key(1));
        error(fixture.store.create(key(1), record(b""), NOW));
    }
}
