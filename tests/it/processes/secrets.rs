//! Two services with different secrets on one directory.

use serde_json::json;

use super::directory;
use crate::support::{Kind, Server, Setup, Start};

/// Servers of two services, two processes each, and what each of them is visited with.
#[test]
fn two_services_on_one_directory_leave_each_others_sessions_alone() {
    let setup = Setup::new(Kind::File);
    let start = |secret| Start::at(&directory(&setup)).secret(secret).serve();
    let services: [[Server; 2]; 2] = [1, 2].map(|secret| [(); 2].map(|()| start(secret)));
    std::thread::scope(|scope| {
        for (number, own) in services.iter().enumerate() {
            let other = &services[1 - number];
            scope.spawn(move || (0..100).for_each(|round| visit(own, other, round)));
            scope.spawn(move || {
                let mut sweeps = own[0].wire();
                (0..20).for_each(|_| assert_eq!(sweeps.post("/sweep", None).status, 200));
            });
        }
    });
    // The same user of both services, who leaves one of them.
    let mut tokens = services
        .each_ref()
        .map(|service| service[0].wire().post("/begin/joe", None));
    let [first, second] = tokens
        .each_mut()
        .map(|reply| reply.token().expect("a cookie"));
    let [mut here, mut there] = [services[0][1].wire(), services[1][1].wire()];
    for wire in [&mut here, &mut there] {
        assert_eq!(wire.get("/sessions-of/joe", None).body, "1");
    }
    assert_eq!(here.post("/revoke-user/joe", None).body, "1");
    assert_eq!(here.get("/all", Some(first)).json()["user"], json!(null));
    assert_eq!(there.get("/all", Some(second)).json()["user"], json!("joe"));
    assert_eq!(there.get("/sessions-of/joe", None).body, "1");
    for server in services.iter().flatten() {
        let stats = server.wire().get("/stats", None).json();
        assert_eq!(
            (&stats["unreadable"], &stats["store_errors"]),
            (&json!(0), &json!(0)),
            "nobody so much as opened a file of the other service"
        );
    }
}

/// A session of one service, shown to the other one; its user has the same name there.
fn visit(own: &[Server; 2], other: &[Server; 2], round: usize) {
    let user = format!("user{}", round % 5);
    let [mut here, mut too] = own.each_ref().map(Server::wire);
    let [mut there, mut there_too] = other.each_ref().map(Server::wire);
    let begun = here.post(&format!("/begin/{user}"), None);
    let token = begun
        .token()
        .unwrap_or_else(|| panic!("no session: {begun:?}"));
    assert_eq!(there.get("/all", Some(token)).json()["new"], json!(true));
    let theirs = there.post("/set/name/theirs", Some(token));
    let new = theirs.token().expect("a session of their own");
    assert_eq!(there_too.post("/logout", Some(token)).status, 200);
    let seen = too.get("/all", Some(token)).json();
    assert_eq!(
        (&seen["user"], &seen["data"]),
        (&json!(user), &json!({"name": user}))
    );
    let seen = there_too.get("/get/name", Some(new));
    assert_eq!(seen.body, "\"theirs\"");
    assert!(too.post("/logout", Some(token)).removes_cookie());
    assert!(there.post("/logout", Some(new)).removes_cookie());
}
