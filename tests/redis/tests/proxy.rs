//! A proxy, before a server that says back what it is told: this needs no Redis.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bsession_redis_servers::{Proxy, wait_until};

/// Long enough for whatever comes over loopback.
const MOMENT: Duration = Duration::from_millis(100);

/// Ends with the process.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    port
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    stream
}

fn hears(mut stream: &TcpStream, text: &str) {
    let mut heard = vec![0; text.len()];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(heard, text.as_bytes());
}

fn says(mut stream: &TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
}

fn hears_nothing(mut stream: &TcpStream) {
    stream.set_read_timeout(Some(MOMENT)).unwrap();
    let kind = stream.read(&mut [0]).map_err(|error| error.kind());
    assert!(
        matches!(kind, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)),
        "{kind:?}"
    );
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
}

/// Closed, in whichever way, and not merely silent.
fn is_closed(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_held_one_answers_nothing_and_then_goes_on() {
    let proxy = Proxy::before(echo());
    let old = connect(&proxy);
    says(&old, "one");
    hears(&old, "one");
    proxy.hold();
    let new = connect(&proxy);
    says(&old, "two");
    says(&new, "three");
    hears_nothing(&old);
    hears_nothing(&new);
    proxy.go_on();
    hears(&old, "two");
    hears(&new, "three");
    assert_eq!(proxy.connections(), 2);
}

#[test]
fn a_held_one_does_not_tell_that_the_server_is_down() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = Proxy::before(listener.local_addr().unwrap().port());
    let old = connect(&proxy);
    let (server, _) = listener.accept().unwrap();
    proxy.hold();
    drop((server, listener));
    let new = connect(&proxy);
    hears_nothing(&old);
    hears_nothing(&new);
    proxy.go_on();
    assert!(is_closed(&old));
    assert!(is_closed(&new));
}

#[test]
fn held_open_ones_hold_up_nobody_who_comes() {
    let proxy = Proxy::before(echo());
    let old = connect(&proxy);
    says(&old, "one");
    hears(&old, "one");
    proxy.hold_open_ones();
    says(&old, "two");
    let new = connect(&proxy);
    says(&new, "three");
    hears(&new, "three");
    hears_nothing(&old);
    proxy.go_on();
    hears(&old, "two");
}

#[test]
fn one_that_leads_elsewhere_leads_only_new_ones_there() {
    let proxy = Proxy::before(echo());
    let old = connect(&proxy);
    says(&old, "one");
    hears(&old, "one");
    let elsewhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    proxy.lead_to(elsewhere.local_addr().unwrap().port());
    std::thread::spawn(move || says(&elsewhere.accept().unwrap().0, "elsewhere"));
    let new = connect(&proxy);
    hears(&new, "elsewhere");
    says(&old, "two");
    hears(&old, "two");
}

#[test]
fn a_cut_closes_what_is_open_and_takes_what_comes() {
    let proxy = Proxy::before(echo());
    let old = connect(&proxy);
    says(&old, "one");
    hears(&old, "one");
    proxy.cut();
    assert!(is_closed(&old));
    let new = connect(&proxy);
    says(&new, "two");
    hears(&new, "two");
}

#[test]
fn a_refusing_one_closes_what_comes_and_keeps_what_is_open() {
    let proxy = Proxy::before(echo());
    let old = connect(&proxy);
    says(&old, "one");
    hears(&old, "one");
    proxy.refuse(true);
    assert!(is_closed(&connect(&proxy)));
    says(&old, "two");
    hears(&old, "two");
    proxy.refuse(false);
    let new = connect(&proxy);
    says(&new, "three");
    hears(&new, "three");
}

#[test]
fn a_delay_is_there_in_either_direction() {
    let proxy = Proxy::before(echo());
    proxy.delay(MOMENT);
    let stream = connect(&proxy);
    let start = Instant::now();
    says(&stream, "late");
    hears(&stream, "late");
    assert!(start.elapsed() >= 2 * MOMENT);
}

#[test]
fn it_ends_with_its_handle_also_while_it_is_held() {
    let proxy = Proxy::before(echo());
    let port = proxy.port();
    proxy.hold();
    let stream = connect(&proxy);
    wait_until("it was accepted", || proxy.connections() == 1);
    drop(proxy);
    assert!(is_closed(&stream));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}
