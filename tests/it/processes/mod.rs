//! Several processes on one directory, and processes that are killed.

mod kills;
mod limit;
mod locks;
mod logout;
mod revoke;
mod secrets;
mod sweeping;
mod watches;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Barrier;

use serde_json::json;

use crate::support::{Kind, Server, Setup};

/// So many servers on the directory of the test.
fn servers(setup: &Setup, count: usize) -> Vec<Server> {
    (0..count)
        .map(|_| Server::start(&directory(setup)))
        .collect()
}

fn directory(setup: &Setup) -> PathBuf {
    setup.dir.path().join("sessions")
}

#[test]
fn eight_processes_count_exactly() {
    let setup = Setup::new(Kind::File);
    let servers = servers(&setup, 8);
    let visitor = servers[0].visitor();
    visitor.post("/set/name/joe");
    let tabs: Vec<_> = servers
        .iter()
        .map(|server| {
            visitor.at(server.address).meanwhile(|tab| {
                (0..50).for_each(|_| assert_eq!(tab.post("/add/n").status, 200));
                tab.get("/all")
            })
        })
        .collect();
    tabs.into_iter()
        .for_each(|tab| drop(tab.join().expect("no failure")));
    for server in &servers {
        assert_eq!(
            visitor.at(server.address).session()["data"],
            json!({"n": 400, "name": "joe"})
        );
    }
}

#[test]
fn different_keys_set_in_different_processes_all_survive() {
    let setup = Setup::new(Kind::File);
    let servers = servers(&setup, 4);
    let visitor = servers[0].visitor();
    visitor.post("/set/name/joe");
    let tabs: Vec<_> = servers
        .iter()
        .enumerate()
        .map(|(number, server)| {
            visitor.at(server.address).meanwhile(move |tab| {
                for round in 0..50 {
                    let path = format!("/set/key-{number}-{round}/{round}");
                    assert_eq!(tab.post(&path).status, 200);
                }
                // One of them goes again, beside what the others set.
                tab.post(&format!("/remove/key-{number}-0"))
            })
        })
        .collect();
    for tab in tabs {
        assert_eq!(tab.join().expect("no failure").body, "\"0\"");
    }
    let mut expected = json!({"name": "joe"});
    for (number, round) in (0..4).flat_map(|number| (1..50).map(move |round| (number, round))) {
        expected[format!("key-{number}-{round}")] = json!(round.to_string());
    }
    for server in &servers {
        assert_eq!(visitor.at(server.address).session()["data"], expected);
    }
}

#[test]
fn what_one_process_saved_the_others_see_at_once() {
    let setup = Setup::new(Kind::File);
    let servers = servers(&setup, 4);
    let mut wires: Vec<_> = servers.iter().map(Server::wire).collect();
    let begun = wires[0].post("/begin/joe", None);
    let mut token = begun.token().expect("a cookie").to_owned();
    let mut user = json!("joe");
    for round in 0..400 {
        let writer = round % wires.len();
        let saved = wires[writer].post(&format!("/set/round/{round}"), Some(&token));
        assert_eq!((saved.status, saved.set_cookies()), (200, vec![]));
        // Now and then with a new id: a renewal, a login as the same, a login as somebody else.
        let renewal = match round % 20 {
            5 => Some("/renew".to_owned()),
            10 => user.as_str().map(|user| format!("/login/{user}")),
            15 => {
                user = json!(format!("user{round}"));
                user.as_str().map(|user| format!("/login/{user}"))
            }
            _ => None,
        };
        let old = token.clone();
        if let Some(path) = &renewal {
            let renewed = wires[writer].post(path, Some(&token));
            token = renewed.token().expect("a new cookie").to_owned();
        }
        for wire in &mut wires {
            let session = wire.get("/all", Some(&token)).json();
            assert_eq!(session["user"], user, "round {round}");
            // Nothing goes from one user to another.
            let kept = (round % 20 != 15).then(|| json!(round.to_string()));
            assert_eq!(session["data"].get("round"), kept.as_ref(), "round {round}");
            if renewal.is_some() {
                let replayed = wire.get("/all", Some(&old)).json();
                assert_eq!(
                    (&replayed["user"], &replayed["data"]),
                    (&json!(null), &json!({}))
                );
            }
        }
    }
    let removed = wires[2].post("/logout", Some(&token));
    assert!(removed.removes_cookie());
    for wire in &mut wires {
        let replayed = wire.get("/all", Some(&token)).json();
        assert_eq!(
            (&replayed["user"], &replayed["data"]),
            (&json!(null), &json!({}))
        );
    }
}

#[test]
fn first_visits_to_several_processes_do_not_meet() {
    const VISITS: usize = 100;
    let setup = Setup::new(Kind::File);
    let servers = servers(&setup, 4);
    let start = Barrier::new(VISITS);
    let (servers, start) = (&servers, &start);
    let visit = |number: usize| {
        let [mut here, mut there] =
            [number, number + 1].map(|number| servers[number % servers.len()].wire());
        start.wait();
        let reply = here.post(&format!("/set/me/{number}"), None);
        let token = reply.token().expect("a cookie").to_owned();
        let seen = there.get("/all", Some(&token)).json()["data"].clone();
        assert_eq!(seen, json!({"me": number.to_string()}));
        token
    };
    let tokens: HashSet<_> = std::thread::scope(|scope| {
        let visits: Vec<_> = (0..VISITS)
            .map(|number| scope.spawn(move || visit(number)))
            .collect();
        let tokens = visits.into_iter().map(|visit| visit.join());
        tokens.map(|token| token.expect("a session")).collect()
    });
    assert_eq!(tokens.len(), VISITS, "each has an id of his own");
}

#[test]
fn sessions_outlive_their_processes() {
    let setup = Setup::new(Kind::File);
    let first = Server::start(&directory(&setup));
    let (joe, eve, gone) = (first.visitor(), first.visitor(), first.visitor());
    joe.post("/login/joe");
    eve.post("/set/name/eve");
    gone.post("/login/gone");
    let token = gone.token().expect("a cookie");
    gone.post("/logout");
    drop(first);
    let second = Server::start(&directory(&setup));
    assert_eq!(joe.at(second.address).session()["user"], json!("joe"));
    assert_eq!(
        eve.at(second.address).session()["data"],
        json!({"name": "eve"})
    );
    assert!(
        second.wire().get("/all", Some(&token)).json()["user"].is_null(),
        "a logout outlives them, too"
    );
}

/// Kills a server in the middle of its saves, again and again: all that was answered is there, no
/// record is torn, no lock stays.
#[test]
fn a_killed_process_leaves_every_answered_save() {
    let setup = Setup::new(Kind::File);
    let witness = Server::start(&directory(&setup));
    let visitor = witness.visitor();
    visitor.post("/set/name/joe");
    let mut answered = 0;
    for _ in 0..10 {
        let victim = Server::start(&directory(&setup));
        let (sent, acknowledged) = std::sync::mpsc::channel();
        let tab = visitor.at(victim.address);
        let client = std::thread::spawn(move || {
            while let Ok(200) = tab.try_post("/add/n") {
                if sent.send(()).is_err() {
                    break;
                }
            }
        });
        let enough = acknowledged.iter().take(50).count();
        drop(victim);
        client.join().expect("the client ends with its server");
        answered += enough + acknowledged.iter().count();
        let session = visitor.session();
        let counted =
            usize::try_from(session["data"]["n"].as_u64().expect("a number")).expect("small");
        assert_eq!(session["data"]["name"], json!("joe"));
        assert!(
            counted == answered || counted == answered + 1,
            "{counted} for {answered} answers"
        );
        answered = counted;
    }
}
