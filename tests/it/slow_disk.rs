//! A disk that answers late: who needs no session does not wait for it.

use std::time::Duration;

use crate::support::{Kind, Server, Setup, Start, skipped};

/// Longer than a few hundred requests take, and shorter than `store_timeout`.
const DELAY: Duration = Duration::from_millis(1500);

/// How many connections, so that both workers of the server have some.
const CONNECTIONS: usize = 8;

/// Whether all of some requests without a session were answered while a write waited for the disk.
fn answers_meanwhile(server: &Server, token: &str) -> bool {
    let mut bare: Vec<_> = (0..CONNECTIONS).map(|_| server.wire()).collect();
    for wire in &mut bare {
        assert_eq!(
            wire.get("/bare", None).body,
            "bare",
            "the connection stands"
        );
    }
    let mut writer = server.wire();
    writer.send("POST", "/add/n", Some(token));
    for _ in 0..10 {
        for wire in &mut bare {
            assert_eq!(wire.get("/bare", None).body, "bare");
        }
    }
    let waits = !writer.has_answer();
    assert_eq!(writer.receive().status, 200);
    waits
}

#[test]
fn a_slow_disk_delays_nobody_who_needs_no_session() {
    let setup = Setup::new(Kind::File);
    let start = Start::at(&setup.dir.path().join("sessions"));
    let Some(start) = start.slow_disk(DELAY) else {
        assert!(std::env::var_os("CI").is_none(), "CI has to have strace");
        skipped("there is no strace, which makes the disk slow");
        return;
    };
    let server = start.serve();
    // The first write tells that the disk is slow, and holds the worker that makes it.
    let created = server.wire().post("/set/name/joe", None);
    let token = created.token().expect("a session");
    assert!(answers_meanwhile(&server, token));
    assert!(answers_meanwhile(&server, token), "and again");
}
