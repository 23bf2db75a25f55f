//! The limit of a user's sessions, kept by two processes together.

use std::time::Duration;

use serde_json::json;

use super::directory;
use crate::support::{Kind, Server, Setup, Start, Visitor};

const LIMIT: usize = 3;

fn start(setup: &Setup, at: &'static str) -> Start {
    Start::at(&directory(setup)).limit(LIMIT, at)
}

fn count(server: &Server) -> usize {
    let count = server.wire().get("/sessions-of/joe", None).body;
    count.parse().expect("a number")
}

fn is_in(visitor: &Visitor) -> bool {
    visitor.session()["user"] == json!("joe")
}

/// Logs in from everywhere at once, again and again, and looks at what is left when all is quiet:
/// how many have a session of those who were told so.
fn race(at: &'static str) -> Vec<(usize, usize)> {
    let setup = Setup::new(Kind::File);
    let servers = [(); 2].map(|()| start(&setup, at).serve());
    let rounds = (0..25).map(|_| {
        let all: [_; 6] = std::array::from_fn(|number| servers[number % 2].visitor());
        let logins = all
            .each_ref()
            .map(|visitor| visitor.meanwhile(|tab| tab.post("/login/joe")));
        let told = logins
            .map(|login| login.join().expect("an answer").status)
            .into_iter()
            .filter(|status| *status == 200)
            .count();
        let left = all.iter().filter(|visitor| is_in(visitor)).count();
        assert_eq!(servers.each_ref().map(count), [left; 2]);
        servers[0].wire().post("/revoke-user/joe", None);
        (told, left)
    });
    rounds.collect()
}

#[test]
fn logins_at_once_in_two_processes_end_no_more_and_no_less_than_the_oldest() {
    assert_eq!(race("oldest"), [(6, LIMIT); 25]);
}

#[test]
fn logins_at_once_in_two_processes_are_never_more_than_the_limit() {
    let rounds = race("newest");
    for (told, left) in &rounds {
        assert_eq!(told, left, "who was let in stays");
        assert!(*left <= LIMIT, "{left}");
    }
    let let_in: usize = rounds.iter().map(|(_, left)| left).sum();
    assert!(let_in > 0, "{rounds:?}");
}

#[test]
fn the_later_login_is_the_newer_one_though_clocks_differ() {
    let setup = Setup::new(Kind::File);
    let behind = start(&setup, "oldest").behind(Duration::from_secs(30));
    let servers = [start(&setup, "oldest"), behind].map(Start::serve);
    let mut all: Vec<Visitor> = Vec::new();
    for number in 0..20 {
        all.push(servers[number % 2].visitor());
        assert_eq!(all[number].post("/login/joe").status, 200);
        let first = all.len().saturating_sub(LIMIT);
        for (other, visitor) in all.iter().enumerate() {
            assert_eq!(is_in(visitor), other >= first, "{other} after {number}");
        }
    }
}
