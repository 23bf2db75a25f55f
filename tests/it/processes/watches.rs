//! Streams in one process, and the end of their sessions in another one.

use super::servers;
use crate::support::{Kind, Server, Setup, Stream};

fn begun(server: &Server) -> (String, Stream) {
    let begun = server.wire().post("/begin/joe", None);
    let token = begun.token().expect("a session").to_owned();
    let stream = Stream::open(server.address, "GET", "/live/events", Some(&token));
    (token, stream)
}

#[test]
fn an_end_in_one_process_ends_streams_in_another() {
    let setup = Setup::new(Kind::File);
    let servers = servers(&setup, 2);
    // The last one ends all sessions of the user.
    let streams = ["/logout", "/login/eve", "/revoke-user/joe"].map(|path| {
        let (token, stream) = begun(&servers[0]);
        assert_eq!(servers[1].wire().post(path, Some(&token)).status, 200);
        stream
    });
    streams.into_iter().for_each(Stream::await_end);
}

#[test]
fn renewals_in_another_process_are_followed() {
    let setup = Setup::new(Kind::File);
    let servers = servers(&setup, 2);
    let (mut token, mut stream) = begun(&servers[0]);
    for path in ["/renew", "/login/joe", "/renew"] {
        let reply = servers[1].wire().post(path, Some(&token));
        token = reply.token().expect("a new id").to_owned();
    }
    let (other, witness) = begun(&servers[0]);
    servers[1].wire().post("/logout", Some(&other));
    witness.await_end();
    assert!(stream.is_open());
    servers[1].wire().post("/logout", Some(&token));
    stream.await_end();
}
