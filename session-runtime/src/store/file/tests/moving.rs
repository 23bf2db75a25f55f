//! A record that outgrows its half moves into another file; what if it is stopped or raced.

use super::*;

fn grown(n: u8) -> Vec<u8> {
    vec![n; 3000]
}

#[test]
fn a_record_that_outgrows_its_half_moves() {
    let fixture = Fixture::new();
    let mut latest = record(b"");
    fixture.create(key(1), &latest);
    let mut lengths = Vec::new();
    for len in [10, 900, 901, 2000, 20_000, 10, 200_000, 10, 3000] {
        latest = fixture.commit(key(1), &latest, &vec![len as u8; len]);
        assert_same(&fixture.live(key(1)), &latest);
        assert_eq!(fixture.files(), [FileName::session(key(1)).as_str()]);
        lengths.push(fs::metadata(fixture.path(key(1))).unwrap().len());
    }
    assert_eq!(lengths[..2], [2048; 2]);
    assert!(
        lengths[2..]
            .iter()
            .all(|len| len % 4096 == 0 || *len == 2048),
        "{lengths:?}"
    );
    assert!(lengths[6] > 600_000, "{lengths:?}");
    assert_eq!(lengths[7] == 2048, cfg!(unix), "{lengths:?}");
}

#[test]
fn a_touch_before_the_move_does_not_outlive_it() {
    let fixture = Fixture::new();
    let first = record(b"");
    fixture.create(key(1), &first);
    now(fixture
        .store
        .touch(key(1), first.head.revision, NOW + 9 * HOUR, NOW));
    let second = fixture.commit(key(1), &first, &grown(2));
    assert_same(&fixture.live(key(1)), &second);
}

#[test]
fn stopped_before_the_exchange_it_leaves_the_old_record() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let stopped = after(&first, &grown(2));
    let left = fixture
        .root()
        .join(FileName::moving(key(1), stopped.head.revision.tag).as_str());
    fs::write(&left, b"half of a fi").unwrap();
    assert_same(&fixture.live(key(1)), &first);
    let second = fixture.commit(key(1), &first, &grown(3));
    assert_same(&fixture.live(key(1)), &second);

    assert_eq!(
        fixture.sweep(NOW),
        0,
        "it is too young to be known as abandoned"
    );
    let age = std::time::SystemTime::now() - Duration::from_secs(61);
    fs::File::options()
        .write(true)
        .open(&left)
        .unwrap()
        .set_modified(age)
        .unwrap();
    let holder = fs::File::open(&left).unwrap();
    holder.lock().unwrap();
    assert_eq!(fixture.sweep(NOW), 0, "somebody is at it");
    drop(holder);
    assert_eq!(fixture.sweep(NOW), 1);
    assert_eq!(fixture.files(), [FileName::session(key(1)).as_str()]);
    assert_same(&fixture.live(key(1)), &second);
}

#[test]
fn stopped_after_the_exchange_it_leaves_the_new_record() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let old = fs::read(fixture.path(key(1))).unwrap();
    let second = fixture.commit(key(1), &first, &grown(2));
    let left = fixture
        .root()
        .join(FileName::moving(key(1), second.head.revision.tag).as_str());
    fs::write(&left, old).unwrap();
    let age = std::time::SystemTime::now() - Duration::from_secs(61);
    fs::File::options()
        .write(true)
        .open(&left)
        .unwrap()
        .set_modified(age)
        .unwrap();
    assert_same(&fixture.live(key(1)), &second);
    assert_eq!(fixture.sweep(NOW), 1);
    assert_same(&fixture.live(key(1)), &second);
}

/// Waits for the lock of a file that is replaced before it is given back.
fn with_the_file_replaced<T: Unpin>(
    fixture: &Fixture,
    op: impl FnOnce(&Asked) -> Answer<'_, T>,
    replace: impl FnOnce(),
) -> T {
    let holder = fs::File::open(fixture.path(key(1))).unwrap();
    holder.lock().unwrap();
    let answer = op(&fixture.store);
    assert!(matches!(answer, Answer::Later(_)));
    replace();
    drop(holder);
    wait(answer)
}

#[test]
fn who_waited_for_the_old_file_writes_to_the_new_one() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    // An operation keeps no file open while it waits, so the file must be replaced between its
    // open and its lock: from another thread, as long as it takes.
    let second = after(&first, b"second");
    let copy = fixture.dir.path().join("copy");
    let saved = with_the_file_replaced(
        &fixture,
        |store| store.commit(key(1), first.head.revision, second.clone(), NOW),
        || {
            fs::copy(fixture.path(key(1)), &copy).unwrap();
            fs::rename(&copy, fixture.path(key(1))).unwrap();
        },
    );
    assert!(matches!(saved, Commit::Saved));
    assert_same(&fixture.live(key(1)), &second);
}

#[test]
fn who_waited_for_a_file_that_is_gone_is_told() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let gone = with_the_file_replaced(
        &fixture,
        |store| store.commit(key(1), first.head.revision, after(&first, b"x"), NOW),
        || fs::remove_file(fixture.path(key(1))).unwrap(),
    );
    assert!(matches!(gone, Commit::Gone));
    assert!(fixture.files().is_empty());
}

/// The race itself: who has opened the old file and locks it after it was replaced or deleted.
#[test]
#[cfg(unix)]
fn a_lock_on_a_file_that_was_replaced_is_no_lock() {
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::store::file::buffer::Buffer;
    use crate::store::file::dir::Dir;
    use crate::store::file::files::Files;
    use crate::store::file::layout::{Content, ReadMode, capacity_for, file_len, read, write_file};
    use crate::store::file::locked_file::{LockedFile, PATIENT};
    use crate::store::file::stop::Stop;

    fn tag(content: Content<'_>) -> Option<u64> {
        match content {
            Content::Live(live) => Some(live.head.revision.tag),
            _ => None,
        }
    }

    let fixture = Fixture::new();
    fixture.create(key(1), &record(b""));
    let dir = std::sync::Arc::new(Dir::open(&fixture.root(), Durability::Process).unwrap());
    let path = fixture.root();
    let files = Files {
        path: &path,
        dir: &dir,
        durability: Durability::Process,
    };
    let (path, other) = (fixture.path(key(1)), fixture.dir.path().join("other"));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Replaces the file or deletes it, in turns, under its lock as everybody does.
        scope.spawn(|| {
            for turn in 0_u64.. {
                let mut bytes = vec![0; file_len(capacity_for(0))];
                write_file(&record(b""), capacity_for(0), &mut bytes);
                fs::write(&other, bytes).unwrap();
                let there = fs::File::open(&path);
                if let Ok(file) = &there {
                    file.lock().unwrap();
                }
                match turn % 3 {
                    0 => fs::remove_file(&path).unwrap(),
                    _ => fs::rename(&other, &path).unwrap(),
                }
                if over.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let mut held = 0;
        while held < 1000 {
            match LockedFile::hold(files, key(1), PATIENT) {
                Ok(session) => {
                    let found = tag(session.content(&mut Buffer::take()).unwrap());
                    let named = fs::read(&path).ok();
                    let named = named.and_then(|bytes| tag(read(&bytes, ReadMode::UnderLock)));
                    if found.is_none() || found != named {
                        over.store(true, Ordering::Relaxed);
                        panic!("what is held is not what is there");
                    }
                    held += 1;
                }
                Err(Stop::Busy | Stop::Missing) => {}
                Err(stop) => panic!("{stop:?}"),
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_file_in_the_way_of_a_move_is_an_error_and_the_old_record_stays() {
    let fixture = Fixture::new();
    let first = record(b"first");
    fixture.create(key(1), &first);
    let second = after(&first, &grown(2));
    let way = fixture
        .root()
        .join(FileName::moving(key(1), second.head.revision.tag).as_str());
    fs::create_dir(&way).unwrap();
    error(
        fixture
            .store
            .commit(key(1), first.head.revision, second, NOW),
    );
    assert_same(&fixture.live(key(1)), &first);
    fixture.commit(key(1), &first, &grown(3));
}
