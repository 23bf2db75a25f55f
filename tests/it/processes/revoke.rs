//! A session that is ended from outside, by another process, in as many orders as chance gives.

use std::sync::Barrier;
use std::time::Duration;

use serde_json::json;

use super::directory;
use crate::support::{Kind, Setup, Start, Wire};

const ROUNDS: usize = 100;
const PATIENCE: usize = 5000;
const TURNS: usize = 400;

/// Lets a request run in one process while its session is revoked in another one, until each was
/// seen to be the first.
fn race(what: &str) {
    let setup = Setup::new(Kind::File);
    let directory = directory(&setup);
    // Sessions begin two minutes ago, so that every visit has a touch to write.
    let begins = Start::at(&directory)
        .behind(Duration::from_secs(120))
        .serve();
    let [revokes, other] = [(); 2].map(|()| Start::at(&directory).serve());
    let (mut begins, mut revokes, mut other) = (begins.wire(), revokes.wire(), other.wire());
    let (mut found, mut too_late) = (0, 0);
    for round in 0..PATIENCE {
        if round >= ROUNDS && found > 0 && too_late > 0 {
            return;
        }
        // Each time of another user: the list of one would get long by all that was renewed.
        let begun = begins.post(&format!("/begin/joe{round}"), None);
        let token = begun.token().expect("a session").to_owned();
        let handle = begins.get("/all", Some(&token)).json()["handle"].clone();
        let handle = handle.as_str().expect("a handle");
        let revoke = format!("/revoke/joe{round}/{handle}");
        let racing = format!("/racing/{what}/{}", fastrand::usize(..TURNS));
        let start = Barrier::new(2);
        let reply = std::thread::scope(|scope| {
            let reply = scope.spawn(|| {
                start.wait();
                other.post(&racing, Some(&token))
            });
            start.wait();
            for _ in 0..fastrand::usize(..TURNS) {
                std::thread::yield_now();
            }
            assert_eq!(revokes.post(&revoke, None).body, "true", "{what}");
            // At the very next request, whatever is in flight.
            assert!(
                is_over(&mut revokes, &token),
                "{what}: where it was revoked"
            );
            assert!(is_over(&mut begins, &token), "{what}: in another process");
            reply.join().expect("an answer")
        });
        assert_eq!(reply.status, 200, "{what}");
        for wire in [&mut begins, &mut revokes, &mut other] {
            assert!(is_over(wire, &token), "{what}: a session came back");
            assert!(
                reply.token().is_none_or(|token| is_over(wire, token)),
                "{what}: renewed, it was missed"
            );
        }
        match &*reply.body {
            "true" => found += 1,
            _ => too_late += 1,
        }
    }
    panic!("never seen: {found} found it, {too_late} came too late");
}

fn is_over(wire: &mut Wire, token: &str) -> bool {
    let session = wire.get("/all", Some(token)).json();
    json!([session["user"], session["data"]]) == json!([null, {}])
}

#[test]
fn a_revoked_session_is_over_against_an_update_in_another_process() {
    race("add");
}

#[test]
fn a_revoked_session_is_over_against_a_touch_in_another_process() {
    race("read");
}

#[test]
fn a_revoked_session_is_over_against_a_renewal_in_another_process() {
    race("renew");
}
