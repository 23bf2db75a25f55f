//! Disks that are full, closed, read-only or gone, under a server that runs: what it cannot do is a
//! 503 without a cookie, the old sessions stay whole, and it goes on when the disk does.
//!
//! What it cannot do, call by call and with EIO, is in the tests of the file store and of `outage`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::support::sentences::UNAVAILABLE;
use crate::support::{Kind, Reply, Server, Setup, Start, Wire, skipped};

/// The user without rights whom a server is started as: root may open anything.
const NOBODY: u32 = 65534;

/// So long that a session with it moves into a larger file.
fn long() -> String {
    format!("/set/long/{}", "x".repeat(2000))
}

/// A server, and connections to it that are open before it meets a fault.
struct Scene {
    server: Server,
    wire: Wire,
    /// Two visitors with sessions.
    joe: String,
    eve: String,
    refused: u64,
}

impl Scene {
    fn begin(start: Start) -> Self {
        let server = start.serve();
        let mut wire = server.wire();
        let [joe, eve] = ["joe", "eve"].map(|user| {
            let begun = wire.post(&format!("/begin/{user}"), None);
            begun.token().expect("a session").to_owned()
        });
        Self {
            server,
            wire,
            joe,
            eve,
            refused: 0,
        }
    }

    fn joe(&mut self, method: &str, path: &str) -> Reply {
        self.wire.ask(method, path, Some(&self.joe))
    }

    /// What the visitor's session holds.
    #[track_caller]
    fn assert_joe_has(&mut self, data: serde_json::Value) {
        let reply = self.joe("GET", "/all");
        assert_eq!(reply.status, 200);
        let session = reply.json();
        assert_eq!((&session["user"], &session["data"]), (&json!("joe"), &data));
    }

    #[track_caller]
    fn assert_refused(&mut self, method: &str, path: &str, token: Option<&str>) {
        let reply = self.wire.ask(method, path, token);
        let told = (reply.status, &*reply.body, reply.set_cookies());
        assert_eq!(told, (503, UNAVAILABLE, vec![]), "{path}");
        self.refused += 1;
    }

    /// The visitor's, and that of somebody without a cookie; who needs no store is served.
    #[track_caller]
    fn assert_all_refused(&mut self, requests: &[(&str, &str)]) {
        let joe = self.joe.clone();
        for (method, path) in requests {
            self.assert_refused(method, path, Some(&joe));
        }
        for path in ["/set/a/b", "/login/ann"] {
            self.assert_refused("POST", path, None);
        }
        for (path, token) in [("/bare", Some(&*joe)), ("/bare", None), ("/all", None)] {
            assert_eq!(self.wire.get(path, token).status, 200, "{path}");
        }
    }

    /// The disk is there again: all is as it was, and goes on.
    #[track_caller]
    fn assert_goes_on(&mut self, mut data: serde_json::Value) {
        self.assert_joe_has(data.clone());
        let stats = self.wire.get("/stats", None).json();
        let errors = stats["store_errors"].as_u64().expect("a number");
        assert!(errors >= self.refused, "{errors} of {}", self.refused);
        assert_eq!(self.joe("POST", &long()).status, 200);
        data["long"] = json!("x".repeat(2000));
        let renewed = self.joe("POST", "/renew");
        self.joe = renewed.token().expect("a new id").to_owned();
        self.assert_joe_has(data);
        let newcomer = self.wire.post("/set/a/b", None);
        let token = newcomer.token().expect("a session");
        assert_eq!(self.wire.get("/get/a", Some(token)).body, "\"b\"");
        let eve = self.wire.get("/get/name", Some(&self.eve));
        assert_eq!(eve.body, "\"eve\"");
        assert!(self.joe("POST", "/logout").removes_cookie());
        assert!(self.joe("GET", "/all").json()["user"].is_null());
        assert_eq!(self.wire.get("/sessions-of/joe", None).body, "0");
        // A pass of the sweeper sets aside what is damaged, and there is nothing.
        assert_eq!(self.wire.post("/sweep", None).status, 200);
    }
}

/// All that a visitor does.
const ALL: [(&str, &str); 6] = [
    ("GET", "/all"),
    ("POST", "/add/n"),
    ("POST", "/set/name/ann"),
    ("POST", "/login/ann"),
    ("POST", "/renew"),
    ("POST", "/logout"),
];

#[test]
fn without_descriptors_every_session_is_a_503_until_there_are_some() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let dir = tempfile::tempdir().expect("a directory");
    let mut scene = Scene::begin(Start::at(&dir.path().join("sessions")));
    let pid = i32::try_from(scene.server.process()).expect("a process");
    let limit = |limit| prlimit(Pid::from_raw(pid), Resource::Nofile, limit).expect("a limit");
    let none = Rlimit {
        current: Some(0),
        maximum: rustix::process::getrlimit(Resource::Nofile).maximum,
    };
    let usual = limit(none);
    scene.assert_all_refused(&ALL);
    limit(usual);
    scene.assert_goes_on(json!({"name": "joe"}));
}

/// A directory for a server as a user without rights, and how to start it.
fn as_nobody() -> (TempDir, PathBuf, Start) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("sessions");
    let mut start = Start::at(&path);
    if fs::metadata(dir.path()).expect("a directory").uid() == 0 {
        chown(dir.path(), Some(NOBODY), Some(NOBODY)).expect("root may");
        start = start.user(NOBODY);
    }
    (dir, path, start)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("our own");
}

#[test]
fn a_directory_that_may_not_be_opened_is_a_503_until_it_may() {
    let (_dir, path, start) = as_nobody();
    let mut scene = Scene::begin(start);
    set_mode(&path, 0);
    scene.assert_all_refused(&ALL);
    set_mode(&path, 0o700);
    scene.assert_goes_on(json!({"name": "joe"}));
}

/// All directories below one, and that.
fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut all = vec![path.to_owned()];
    all.extend(
        paths
            .filter(|path| path.is_dir())
            .flat_map(|path| directories(&path)),
    );
    all
}

#[test]
fn directories_that_became_read_only_take_no_new_session_and_keep_the_old_ones() {
    let (_dir, path, start) = as_nobody();
    let mut scene = Scene::begin(start);
    let all = directories(&path);
    all.iter().for_each(|path| set_mode(path, 0o500));
    scene.assert_joe_has(json!({"name": "joe"}));
    assert_eq!(scene.joe("POST", "/add/n").status, 200, "in its place");
    let long = long();
    scene.assert_all_refused(&[("POST", &*long), ("POST", "/login/ann"), ("POST", "/renew")]);
    scene.assert_joe_has(json!({"name": "joe", "n": 1}));
    all.iter().for_each(|path| set_mode(path, 0o700));
    scene.assert_goes_on(json!({"name": "joe", "n": 1}));
}

/// A file system of a few pages.
struct Tiny(TempDir);

impl Tiny {
    fn mount() -> Option<Self> {
        let tiny = Self(tempfile::tempdir().expect("a directory"));
        let arguments = ["-t", "tmpfs", "-o", "size=128k,mode=0700", "tmpfs"];
        if tiny.run("mount", &arguments) {
            return Some(tiny);
        }
        skipped(
            "no file system can be mounted here, be it for want of root: no full disk, no read-only one",
        );
        None
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = Command::new(program);
        let status = command.args(arguments).arg(self.0.path()).status();
        status.is_ok_and(|status| status.success())
    }

    /// To the last byte; a file that can be removed.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("ballast");
        let mut file = fs::File::create(&path).expect("a file");
        let full = std::io::copy(&mut std::io::repeat(0), &mut file).expect_err("it ends");
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        path
    }

    fn sessions(&self) -> PathBuf {
        self.0.path().join("sessions")
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        self.run("umount", &["-l"]);
    }
}

#[test]
fn a_full_disk_takes_no_new_session_and_keeps_the_old_ones() {
    let Some(tiny) = Tiny::mount() else { return };
    let mut scene = Scene::begin(Start::at(&tiny.sessions()));
    let before = files(&tiny.sessions());
    let ballast = tiny.fill();

    scene.assert_joe_has(json!({"name": "joe"}));
    assert_eq!(scene.joe("POST", "/add/n").status, 200, "in its place");
    let long = long();
    scene.assert_all_refused(&[("POST", &*long), ("POST", "/login/ann"), ("POST", "/renew")]);
    scene.assert_joe_has(json!({"name": "joe", "n": 1}));
    assert_eq!(files(&tiny.sessions()), before, "no half of a file");

    fs::remove_file(ballast).expect("it is there");
    scene.assert_goes_on(json!({"name": "joe", "n": 1}));
}

fn files(path: &Path) -> Vec<PathBuf> {
    let all = directories(path).into_iter();
    let entries = all.flat_map(|path| fs::read_dir(path).expect("a directory"));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = paths.filter(|path| path.is_file()).collect();
    // The mark that the lists of users are whole is no session's, nor is the file that git reads.
    files.retain(|path| !path.ends_with("users/.whole") && !path.ends_with(".gitignore"));
    files.sort();
    files
}

/// On a full disk a logout needs no room.
#[test]
fn on_a_full_disk_a_logout_is_one() {
    let Some(tiny) = Tiny::mount() else { return };
    let mut scene = Scene::begin(Start::at(&tiny.sessions()));
    tiny.fill();
    assert!(scene.joe("POST", "/logout").removes_cookie());
    let session = scene.joe("GET", "/all").json();
    assert_eq!(
        (&session["user"], &session["data"]),
        (&json!(null), &json!({}))
    );
}

#[test]
fn on_a_disk_that_became_read_only_sessions_are_read_and_nothing_is_promised() {
    let Some(tiny) = Tiny::mount() else { return };
    // Two minutes behind, so that a visit has a touch to write.
    let minutes = std::time::Duration::from_secs(120);
    let mut scene = Scene::begin(Start::at(&tiny.sessions()).behind(minutes));
    assert_eq!(scene.wire.post("/turn/120", None).status, 200);
    assert!(tiny.run("mount", &["-o", "remount,ro"]));
    scene.assert_joe_has(json!({"name": "joe"}));
    scene.assert_all_refused(&ALL[1..]);
    scene.assert_joe_has(json!({"name": "joe"}));
    assert!(tiny.run("mount", &["-o", "remount,rw"]));
    scene.assert_goes_on(json!({"name": "joe"}));
}

/// Deleting files by hand is a legal way to end sessions, all at once too.
#[test]
fn a_directory_that_is_deleted_ends_its_sessions_and_new_ones_begin() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("sessions");
    let mut scene = Scene::begin(Start::at(&path));
    fs::remove_dir_all(&path).expect("it is there");
    let session = scene.joe("GET", "/all").json();
    assert_eq!(
        (&session["user"], &session["data"]),
        (&json!(null), &json!({}))
    );
    let begun = scene.joe("POST", "/begin/joe");
    assert!(begun.token().is_some_and(|token| token != scene.joe));
    scene.joe = begun.token().expect("a session").to_owned();
    scene.eve = scene
        .wire
        .post("/begin/eve", None)
        .token()
        .expect("a session")
        .to_owned();
    scene.assert_goes_on(json!({"name": "joe"}));
}

#[test]
fn something_else_in_the_place_of_the_directory_is_a_503_for_who_is_new() {
    let dir = tempfile::tempdir().expect("a directory");
    let [path, aside] = ["sessions", "aside"].map(|name| dir.path().join(name));
    let mut scene = Scene::begin(Start::at(&path));
    let gone = scene.wire.post("/begin/gone", None);
    fs::rename(&path, &aside).expect("it is there");
    fs::write(&path, b"").expect("a file");
    scene.assert_all_refused(&[]);
    scene.assert_joe_has(json!({"name": "joe"}));
    fs::remove_file(&path).expect("it is there");

    // Another directory: whoever finds nothing in the old one is sent there.
    fs::create_dir(&path).expect("a directory");
    let newcomer = scene.wire.post("/set/a/b", None);
    let token = newcomer.token().expect("a session");
    assert_eq!(scene.wire.get("/get/a", Some(token)).body, "\"b\"");
    assert!(scene.joe("GET", "/all").json()["user"].is_null());
    fs::remove_dir_all(&path).expect("it is there");
    fs::rename(&aside, &path).expect("it is there");
    let session = scene.wire.get("/all", gone.token()).json();
    assert_eq!(session["user"], json!("gone"), "and back");
    scene.assert_goes_on(json!({"name": "joe"}));
}

/// So somebody ends one session by hand, and the request in flight does not bring it back.
#[test]
fn a_session_whose_file_is_removed_during_a_request_is_over() {
    let setup = Setup::new(Kind::File);
    let site = setup.site();
    let sessions = setup.dir.path().join("sessions");
    for what in ["set/late", "add/n", "renew/x", "read/x"] {
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        let token = visitor.token().expect("a session");
        let path = format!("/held/{what}");
        let held = visitor.meanwhile(move |tab| tab.post(&path));
        site.gate.await_arrivals(1);
        let there = files(&sessions);
        let [file] = &there[..] else {
            panic!("one session: {there:?}")
        };
        fs::remove_file(file).expect("it is there");
        site.gate.open(1);
        let late = held.join().expect("an answer");
        assert_eq!((late.status, late.set_cookies()), (200, vec![]), "{what}");
        assert_eq!(site.with_token("GET", "/get/name", &token).body, "null");
        assert_eq!(files(&sessions), Vec::<PathBuf>::new());
    }
}
