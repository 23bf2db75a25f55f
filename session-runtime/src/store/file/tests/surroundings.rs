//! The directory and its surroundings: programs that delete by age, file systems without locks, a umask, and volumes of
//! Kubernetes.

use std::fs::TryLockError;
use std::os::unix::fs::{MetadataExt, chown, lchown, symlink};
use std::process::Command;
use std::rc::Rc;

use super::directory::{as_nobody, assert_only_the_owner_may, mode, refusal, set_mode};
use super::events::events_of;
use super::gitignore::ignored;
use super::*;
use crate::store::file::dir::watched::{DirCall, Verdict, Watcher, under};
use crate::store::file::location;

/// Asks for the lock that systemd-tmpfiles takes before it looks into a directory. It passes over one that is locked:
/// <https://systemd.io/TEMPORARY_DIRECTORIES>.
fn a_cleaner_passes_over(path: &Path) -> bool {
    let directory = fs::File::open(path).unwrap();
    matches!(directory.try_lock(), Err(TryLockError::WouldBlock))
}

#[test]
fn a_cleaner_passes_over_the_directory_of_a_service() {
    let _quiet = forks::Quiet::new();
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("sessions");
    let store = opened(&path, Durability::Process).unwrap();
    assert!(a_cleaner_passes_over(&path));
    let another_process = opened(&path, Durability::Process).unwrap();
    drop(store);
    assert!(a_cleaner_passes_over(&path));
    drop(another_process);
    assert!(!a_cleaner_passes_over(&path), "when all services are gone");
}

/// The real one, told to delete everything above the directory.
#[test]
fn systemd_tmpfiles_deletes_no_session_while_a_service_runs() {
    let fixture = Fixture::new();
    fixture.create(key(1), &of(1, b""));
    fs::create_dir(fixture.dir.path().join("old")).unwrap();
    let settings = tempfile::NamedTempFile::new().unwrap();
    let line = format!("e {} - - - 0\n", fixture.dir.path().display());
    fs::write(settings.path(), line).unwrap();
    let mut clean = Command::new("systemd-tmpfiles");
    clean.arg("--clean").arg(settings.path());
    if forks::run(&mut clean).is_err() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI has to have systemd-tmpfiles"
        );
        return skipped(
            "systemd-tmpfiles is not installed, which Debian has as systemd-standalone-tmpfiles",
        );
    }
    assert!(!fixture.dir.path().join("old").exists(), "it did delete");
    assert_eq!(fixture.live(key(1)).head.user, Some(user(1)));
    assert_eq!(now(fixture.store.of_user(user(1), NOW)).len(), 1);

    let Fixture {
        dir,
        files,
        store,
        _quiet,
    } = fixture;
    drop((files, store));
    forks::run(&mut clean).unwrap();
    let left = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 0, "without a service it deletes the sessions");
}

#[test]
fn a_cleaner_passes_over_a_directory_that_was_made_again() {
    let fixture = Fixture::new();
    fs::remove_dir_all(fixture.root()).unwrap();
    fixture.create(key(1), &record(b""));
    assert!(a_cleaner_passes_over(&fixture.root()));
}

#[test]
fn a_cleaner_at_work_delays_no_start_and_a_sweep_takes_the_lock_later() {
    let above = tempfile::tempdir().unwrap();
    fs::create_dir(above.path().join("sessions")).unwrap();
    let cleaner = fs::File::open(above.path().join("sessions")).unwrap();
    cleaner.lock().unwrap();
    let fixture = Fixture::at(above, Durability::Process);
    fixture.create(key(1), &record(b"as ever"));
    fixture.sweep(NOW);
    drop(cleaner);
    assert!(!a_cleaner_passes_over(&fixture.root()));
    fixture.sweep(NOW);
    assert!(a_cleaner_passes_over(&fixture.root()));
}

/// A file system that has no locks, or none for now.
struct NoLocks(i32);

impl Watcher for NoLocks {
    fn before(&self, call: &DirCall<'_>) -> Verdict {
        match call {
            DirCall::Lock(..) => Verdict::Not(std::io::Error::from_raw_os_error(self.0)),
            _ => Verdict::Go,
        }
    }
}

#[test]
fn a_file_system_without_locks_is_refused_when_the_service_is_built() {
    use rustix::io::Errno;
    for errno in [Errno::NOLCK, Errno::NOTSUP, Errno::NOSYS] {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("sessions");
        let without_locks = Rc::new(NoLocks(errno.raw_os_error()));
        let text = under(without_locks, || refusal(&path));
        assert!(text.contains("cannot be locked"), "{text}");
        assert!(text.contains("name a directory on a local disk"), "{text}");
        opened(&path, Durability::Process).unwrap();
        let left = fs::read_dir(&path)
            .unwrap()
            .map(|it| it.unwrap().file_name());
        let left: Vec<_> = left
            .filter(|name| name != "users" && name != ".gitignore")
            .collect();
        assert_eq!(left, [""; 0], "nothing else is left of the try");
    }
}

/// Another process has just made the file on which a lock is tried, and has its lock, or has removed it.
#[test]
fn a_lock_is_tried_by_several_processes_at_once() {
    let _quiet = forks::Quiet::new();
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("sessions");
    opened(&path, Durability::Process).unwrap();
    let theirs = fs::File::create(path.join(".lock-test")).unwrap();
    theirs.lock().unwrap();
    opened(&path, Durability::Process).unwrap();
    for _ in 0..20 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| opened(&path, Durability::Process).map(drop).unwrap());
            }
        });
    }
    assert!(!path.join(".lock-test").exists());
}

#[test]
fn processes_that_start_at_once_make_one_directory() {
    let above = tempfile::tempdir().unwrap();
    for n in 0..20 {
        let path = above.path().join(format!("{n}/sessions"));
        let _quiet = forks::Quiet::new();
        std::thread::scope(|scope| {
            for n in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    let store = opened(path, Durability::Process).unwrap();
                    assert!(now(store.create(key(n), of(n, b""), NOW)));
                });
            }
        });
        assert_eq!(ignored(&path).as_deref(), Some("*\n"));
        assert!(path.join(WHOLE).exists());
    }
}

/// No umask stops root, so this runs as an ordinary user. Those above the directory are made, too.
#[test]
fn whatever_the_umask_of_an_ordinary_user() {
    const NAME: &str = "surroundings::whatever_the_umask_of_an_ordinary_user";
    if let Some(above) = child_argument() {
        let above = Path::new(&above);
        for (mask, above_it) in [
            ("000", 0o777),
            ("022", 0o755),
            ("277", 0o700),
            ("777", 0o700),
        ] {
            let dir = tempfile::tempdir_in(above).unwrap();
            let deep = tempfile::tempdir_in(above).unwrap();
            let mask = rustix::fs::RawMode::from_str_radix(mask, 8).unwrap();
            let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
            assert_only_the_owner_may(&Fixture::at(dir, Durability::Process));
            for durability in [Durability::Process, Durability::Disk] {
                let path = deep.path().join(format!("{durability:?}/b/sessions"));
                let store = opened(&path, durability).unwrap();
                assert!(now(store.create(key(1), record(b""), NOW)));
                assert_eq!(mode(&path), 0o700);
                assert_eq!(mode(path.parent().unwrap()), above_it, "{mask:o}");
            }
            rustix::process::umask(before);
        }
        return;
    }
    let above = tempfile::tempdir().unwrap();
    assert!(as_nobody(NAME, above.path()).success());
}

/// Does what the kubelet does to a volume with `fsGroup`, at the start of every pod:
/// <https://kubernetes.io/docs/tasks/configure-pod-container/security-context/>.
fn give_to_group(path: &Path, group: u32) {
    lchown(path, None, Some(group)).unwrap();
    let found = fs::symlink_metadata(path).unwrap();
    let more = if found.is_dir() { 0o2770 } else { 0o660 };
    set_mode(path, found.mode() & 0o7777 | more);
    if found.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give_to_group(&entry.unwrap().path(), group);
        }
    }
}

#[test]
fn a_volume_of_kubernetes_has_the_directory_in_it_and_keeps_it_over_restarts() {
    const NAME: &str =
        "surroundings::a_volume_of_kubernetes_has_the_directory_in_it_and_keeps_it_over_restarts";
    const GROUP: u32 = 2000;
    if let Some(volume) = child_argument() {
        return in_a_pod(Path::new(&volume), GROUP);
    }
    let above = tempfile::tempdir().unwrap();
    let volume = above.path().join("volume");
    fs::create_dir(&volume).unwrap();
    set_mode(above.path(), 0o755);
    let has_setpriv = Command::new("setpriv").arg("--version").output().is_ok();
    if !has_setpriv || chown(&volume, Some(0), None).is_err() {
        return skipped("only root with setpriv can start a pod: no volume with fsGroup");
    }
    let pod = in_child(NAME, volume.to_str().unwrap());
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=65534",
        "--regid=65534",
        &format!("--groups={GROUP}"),
    ]);
    command.arg(pod.get_program()).args(pod.get_args());
    command.envs(
        pod.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    command.stdout(std::process::Stdio::null());
    for start in 0..3 {
        give_to_group(&volume, GROUP);
        assert!(forks::run(&mut command).unwrap().success(), "{start}");
    }
}

/// One start of a pod, whose user is in the group of the volume and owns nothing but what it made.
fn in_a_pod(volume: &Path, group: u32) {
    let _quiet = forks::Quiet::new();
    let text = refusal(volume);
    assert!(
        text.contains("belongs to the user with the number 0"),
        "{text}"
    );
    let inside = volume.join("sessions");
    let hint = format!("name a directory inside it, as in `{}`", inside.display());
    assert!(text.contains(&hint), "{text}");

    let is_first = !inside.exists();
    let store = opened(&inside, Durability::Disk).unwrap();
    let found = fs::metadata(&inside).unwrap();
    assert_eq!((found.mode() & 0o777, found.gid()), (0o700, group));
    if is_first {
        assert!(now(store.create(key(1), of(1, b"first"), NOW)));
    }
    let Loaded::Live(record) = now(store.load(key(1), NOW)) else {
        panic!("it is lost")
    };
    let body = match is_first {
        true => vec![1],
        // Into a larger file each time.
        false => vec![1; 4 * record.body.as_bytes().len() + 5000],
    };
    let saved = store.commit(key(1), record.head.revision, after(&record, &body), NOW);
    assert!(matches!(now(saved), Commit::Saved));
    assert_eq!(now(store.of_user(user(1), NOW)).len(), 1);
    while !store.sweep(NOW, 100).unwrap().finished {}
}

#[test]
fn an_error_names_the_absolute_path() {
    let here = std::env::current_dir().unwrap().join("Cargo.toml");
    let error = FileStore::at("./Cargo.toml").open().err().unwrap();
    let expected = format!(
        "the sessions directory `{}`: it is not a directory",
        here.display()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn a_directory_that_other_programs_clean_is_warned_of() {
    let events = |path: &Path| events_of(|| drop(FileStore::at(path).open().unwrap()));
    let temporary = tempfile::tempdir_in("/tmp").unwrap();
    let path = temporary.path().join("sessions");
    let heard = events(&path);
    let is_warned = |line: &String| {
        line.starts_with("WARN")
            && line.contains("sessions_directory_cleaned")
            && line.contains(path.to_str().unwrap())
    };
    assert!(heard.iter().any(is_warned), "{heard:?}");

    // Through a link from elsewhere: a cleaner meets the directory where it really is.
    let elsewhere = ["/var/lib", "/opt", env!("CARGO_MANIFEST_DIR")].into_iter();
    let mut elsewhere = elsewhere.filter(|path| !path.starts_with("/tmp"));
    let Some(elsewhere) = elsewhere.find_map(|path| tempfile::tempdir_in(path).ok()) else {
        return skipped("every directory in which this user may write is a temporary one");
    };
    let heard = events(&elsewhere.path().join("sessions"));
    assert_eq!(heard, [""; 0]);
    let link = elsewhere.path().join("link");
    symlink(temporary.path(), &link).unwrap();
    let heard = events(&link.join("sessions"));
    assert!(
        heard
            .iter()
            .any(|line| line.contains("sessions_directory_cleaned")),
        "{heard:?}"
    );
}

#[test]
fn a_file_system_of_another_machine_is_warned_of() {
    let path = Path::new("/srv/shop/sessions");
    let heard = events_of(|| location::warn(path, Some(0x6969)));
    assert_eq!(heard.len(), 1);
    assert!(heard[0].starts_with("WARN"), "{heard:?}");
    for part in [
        "sessions_directory_on_network",
        "/srv/shop/sessions",
        "NFS",
        "hint=",
    ] {
        assert!(heard[0].contains(part), "{heard:?}");
    }
}

#[test]
fn a_directory_that_could_not_be_held_is_warned_of() {
    let above = tempfile::tempdir().unwrap();
    let cleaner = fs::File::open(above.path()).unwrap();
    cleaner.lock().unwrap();
    let heard = events_of(|| drop(opened(above.path(), Durability::Process).unwrap()));
    assert!(
        heard
            .iter()
            .any(|line| line.contains("sessions_directory_not_held")),
        "{heard:?}"
    );
}
