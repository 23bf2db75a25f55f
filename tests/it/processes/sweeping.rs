//! Sweepers in several processes at once, while sessions begin, are visited, end and expire.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::{directory, servers};
use crate::support::{Kind, Server, Setup, Wire};

/// Days by which clocks go forward, where a session that nobody visits ends after 30: some visits
/// write a touch, and some the record, for the sake of its cookie.
const STEP: u64 = 2;
const VISITORS: usize = 20;

#[test]
fn sweepers_of_several_processes_delete_what_expired_and_nothing_else() {
    let setup = Setup::new(Kind::File);
    let servers = servers(&setup, 3);
    let mut wires: Vec<_> = servers.iter().map(Server::wire).collect();
    let kept: Vec<_> = (0..VISITORS).map(|n| begin(&mut wires[n % 3], n)).collect();
    let over = AtomicBool::new(false);
    let mut expired = 0;
    std::thread::scope(|scope| {
        let sweepers: Vec<_> = servers
            .iter()
            .map(|server| scope.spawn(|| sweep(server, &over)))
            .collect();
        let _ends = Ends(&over);
        for step in 0..24 {
            // Some that nobody visits again, and some whose users log out.
            for n in 0..VISITORS {
                let token = begin(&mut wires[n % 3], n);
                if n % 4 == 0 {
                    assert!(
                        wires[(n + 1) % 3]
                            .post("/logout", Some(&token))
                            .removes_cookie()
                    );
                }
                expired += 1;
            }
            // Not all at once: the clocks of machines differ.
            for number in (step..step + 3).map(|number| number % 3) {
                turn(&mut wires[number], STEP);
                for (n, token) in kept.iter().enumerate() {
                    let wire = &mut wires[(number + n) % 3];
                    assert_eq!(user(wire, token), json!(format!("user{n}")), "step {step}");
                }
            }
        }
        over.store(true, Ordering::Relaxed);
        let passes = sweepers
            .into_iter()
            .map(|sweeper| sweeper.join().expect("no failure"));
        let (passes, deleted) = passes.fold((0, 0), |(passes, all), (more, deleted)| {
            (passes + more, all + deleted)
        });
        println!("{passes} passes deleted {deleted}, {expired} expired");
        assert!(deleted > 0 && passes > 10, "they did sweep meanwhile");
    });
    // Those of the last steps end now; the kept ones were visited two weeks ago.
    for days in [16, 15] {
        wires.iter_mut().for_each(|wire| turn(wire, days));
        if days == 16 {
            kept.iter()
                .for_each(|token| assert!(user(&mut wires[0], token).is_string()));
        }
    }
    assert_eq!(wires[0].post("/sweep", None).status, 200);
    let [sessions, entries] = files(&directory(&setup));
    assert_eq!(
        (sessions, entries),
        (VISITORS, VISITORS),
        "all that expired is gone"
    );
    for (n, token) in kept.iter().enumerate() {
        assert_eq!(user(&mut wires[n % 3], token), json!(format!("user{n}")));
    }
    for wire in &mut wires {
        let stats = wire.get("/stats", None).json();
        assert!(stats["touches"].as_u64() > Some(10), "{stats}");
    }
}

fn turn(wire: &mut Wire, days: u64) {
    let path = format!("/turn/{}", days * 24 * 3600);
    assert_eq!(wire.post(&path, None).status, 200);
}

/// Lets the sweepers end though the test fails.
struct Ends<'b>(&'b AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn begin(wire: &mut Wire, n: usize) -> String {
    let begun = wire.post(&format!("/begin/user{n}"), None);
    begun.token().expect("a cookie").to_owned()
}

fn user(wire: &mut Wire, token: &str) -> serde_json::Value {
    wire.get("/all", Some(token)).json()["user"].clone()
}

/// Pass after pass; how many, and how many files they deleted.
fn sweep(server: &Server, over: &AtomicBool) -> (usize, usize) {
    let (mut wire, mut passes, mut deleted) = (server.wire(), 0, 0);
    while !over.load(Ordering::Relaxed) {
        let swept = wire.post("/sweep", None);
        assert_eq!(swept.status, 200);
        passes += 1;
        deleted += swept.body.parse::<usize>().expect("a number");
    }
    (passes, deleted)
}

/// How many files there are: of sessions, and in the lists of users.
fn files(directory: &Path) -> [usize; 2] {
    fn count(directory: &Path) -> usize {
        let entries = std::fs::read_dir(directory).expect("a directory");
        entries
            .map(|entry| entry.expect("an entry").path())
            .map(|path| if path.is_dir() { count(&path) } else { 1 })
            .sum()
    }
    let users = directory.join("users");
    // Beside them stands the mark that they are whole.
    let marks = usize::from(users.join(".whole").exists());
    let entries = count(&users);
    let for_git = usize::from(directory.join(".gitignore").exists());
    [count(directory) - entries - for_git, entries - marks]
}
