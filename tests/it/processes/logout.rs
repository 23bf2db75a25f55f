//! A logout in one process against a request in another one, in as many orders as chance gives.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::json;

use super::directory;
use crate::support::{Kind, Setup, Start, Wire};

/// How many interleavings of each kind are run, and how many until they have shown what they are
/// about.
const ROUNDS: usize = 250;
const PATIENCE: usize = 5000;
/// How long a request stays between its load and its save, at most: some hundred microseconds.
const TURNS: usize = 400;

/// How the other request stood to the logout.
#[derive(Debug, Default)]
struct Seen {
    /// It was answered before the logout was.
    before: usize,
    /// It had loaded the session, and was answered behind the logout.
    overtaken: usize,
    /// It found the session gone.
    behind: usize,
    /// Logins that came too late, and began sessions of their own.
    anew: usize,
}

impl Seen {
    fn all(&self, what: &str) -> bool {
        self.before > 0
            && self.overtaken > 0
            && self.behind > 0
            && (!is_login(what) || self.anew > 0 && self.anew < self.rounds())
    }

    fn rounds(&self) -> usize {
        self.before + self.overtaken + self.behind
    }
}

/// The other requests are named by what they do, or by the user whom they log in.
fn is_login(what: &str) -> bool {
    ["joe", "eve"].contains(&what)
}

/// The processes, each at the end of a connection.
struct Race {
    begins: Wire,
    logs_out: Wire,
    other: Wire,
    seen: Seen,
}

impl Race {
    /// Lets a logout and another request of one session run, and looks at what is left.
    fn run(&mut self, what: &str) {
        let begun = self.begins.post("/begin/joe", None);
        let token = begun.token().expect("a session").to_owned();
        let path = |what: &str| format!("/racing/{what}/{}", fastrand::usize(..TURNS));
        let (logout_path, other_path) = (path("logout"), path(what));
        let (logs_out, other) = (&mut self.logs_out, &mut self.other);
        let start = Barrier::new(2);
        let ask = |wire: &mut Wire, path: &str| {
            start.wait();
            (wire.post(path, Some(&token)), Instant::now())
        };
        let ((logout, logged_out), (reply, answered)) = std::thread::scope(|scope| {
            let other = scope.spawn(|| ask(other, &other_path));
            (
                ask(logs_out, &logout_path),
                other.join().expect("an answer"),
            )
        });
        assert_eq!((logout.status, reply.status), (200, 200), "{what}");
        assert!(logout.removes_cookie(), "{what}");
        match &*reply.body {
            "false" => self.seen.behind += 1,
            _ if answered < logged_out => self.seen.before += 1,
            _ => self.seen.overtaken += 1,
        }
        assert!(self.is_dead(&token), "{what}: the session of before");
        // Only a login has a cookie to set whatever happened, and only a renewal may have one.
        assert!(reply.token().is_some() || !is_login(what), "{what}");
        assert!(reply.token().is_none() || is_login(what) || what == "renew");
        let Some(token) = reply.token() else { return };
        if !self.is_dead(token) {
            assert!(
                self.is_new_login(token, what),
                "{what}: a session came back"
            );
            self.seen.anew += 1;
        }
    }

    fn session(&mut self, token: &str) -> [serde_json::Value; 3] {
        [&mut self.begins, &mut self.logs_out, &mut self.other].map(|wire| {
            let session = wire.get("/all", Some(token)).json();
            json!([session["user"], session["data"]])
        })
    }

    fn is_dead(&mut self, token: &str) -> bool {
        let sessions = self.session(token);
        assert!(sessions.iter().all(|session| *session == sessions[0]));
        sessions[0] == json!([null, {}])
    }

    /// A login that found its session gone is one of a new visitor, with nothing of before.
    fn is_new_login(&mut self, token: &str, what: &str) -> bool {
        self.session(token)[0] == json!([what, {"mine": "words"}])
    }
}

/// Runs the race against `what`, and gives what the process of that request counted.
fn race(what: &str) -> serde_json::Value {
    let setup = Setup::new(Kind::File);
    let directory = directory(&setup);
    // Sessions begin two minutes ago, so that every visit has a touch to write.
    let begins = Start::at(&directory)
        .behind(Duration::from_secs(120))
        .serve();
    let [logs_out, other] = [(); 2].map(|()| Start::at(&directory).serve());
    let mut race = Race {
        begins: begins.wire(),
        logs_out: logs_out.wire(),
        other: other.wire(),
        seen: Seen::default(),
    };
    while race.seen.rounds() < ROUNDS || !race.seen.all(what) {
        assert!(race.seen.rounds() < PATIENCE, "never seen: {:?}", race.seen);
        race.run(what);
    }
    let stats = race.other.get("/stats", None).json();
    println!("{what}: {:?}, {stats}", race.seen);
    for wire in [&mut race.logs_out, &mut race.other] {
        for user in ["joe", "eve"] {
            let left = wire.get(&format!("/sessions-of/{user}"), None).body;
            let expected = if user == what { race.seen.anew } else { 0 };
            assert_eq!(left, expected.to_string(), "sessions of {user}");
        }
    }
    stats
}

/// Some were saved before the logout, and some came too late.
fn assert_both(stats: &serde_json::Value) {
    let count = |name: &str| stats[name].as_u64().expect("a number");
    assert!(count("commits") > 0 && count("late") > 0, "{stats}");
}

#[test]
fn a_logout_sticks_against_an_update_in_another_process() {
    assert_both(&race("add"));
}

#[test]
fn a_logout_sticks_against_a_set_in_another_process() {
    assert_both(&race("set"));
}

#[test]
fn a_logout_sticks_against_a_touch_in_another_process() {
    let stats = race("read");
    assert!(stats["touches"].as_u64() > Some(100), "{stats}");
}

#[test]
fn a_logout_sticks_against_a_renewal_in_another_process() {
    assert_both(&race("renew"));
}

#[test]
fn a_logout_sticks_against_a_login_in_another_process() {
    let stats = [race("joe"), race("eve")];
    assert!(
        stats
            .iter()
            .all(|stats| stats["commits"].as_u64() > Some(0))
    );
}
