//! The parts of a request, each by itself: `cargo bench --manifest-path bench/Cargo.toml`.
//!
//! Everything goes through the public interface, so that a part may be taken to pieces without its
//! benchmark. What is allocated is told beside the time; look at that first, it repeats.

use std::{
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use actix_web::{
    FromRequest, HttpRequest, cookie::Cookie, http::header::COOKIE, test::TestRequest,
};
use bsession::{Connection, FileStore, Mode, Sessions};
use divan::{AllocProfiler, Bencher};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const SECRET: &[u8] = b"a secret of the comparison, known to everybody";
const MODES: [&str; 2] = ["memory", "file"];

fn main() {
    divan::main();
}

/// Neither store waits for anything here, so nothing needs a runtime.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it waits"),
    }
}

struct Setup {
    sessions: Sessions,
    cookie: Cookie<'static>,
    _dir: tempfile::TempDir,
}

impl Setup {
    /// A session of so many keys, `n` among them, and so many bytes beside it.
    fn new(mode: &str, keys: usize, bytes: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let builder = Sessions::builder(SECRET);
        let sessions = match mode {
            "memory" => builder.mode(Mode::Memory),
            _ => builder.mode(FileStore::at(dir.path().join("sessions"))),
        };
        let sessions = sessions.build().expect("a service");
        let cookie = now(sessions.cookie_for(|session| {
            session["n"] = 0.into();
            for key in 1..keys {
                session[&*format!("key {key}")] = "x".repeat(bytes / keys).into();
            }
        }));
        let cookie = cookie.expect("a session");
        Self {
            sessions,
            cookie,
            _dir: dir,
        }
    }

    fn request(&self, cookies: &str) -> HttpRequest {
        TestRequest::default()
            .app_data(self.sessions.clone())
            .insert_header((COOKIE, cookies))
            .to_http_request()
    }

    fn own(&self) -> String {
        format!("{}={}", self.cookie.name(), self.cookie.value())
    }
}

fn connect(request: &HttpRequest) -> Connection {
    now(Connection::extract(request)).expect("a connection")
}

/// Finding the cookie, verifying the token and, for a good one, loading the session.
#[divan::bench(args = ["none", "alone", "last of twenty", "forged", "behind fifty forged"])]
fn connecting(bencher: Bencher, cookies: &str) {
    let setup = Setup::new("memory", 2, 20);
    let forged = format!("bsession={}", "A".repeat(64));
    let header = match cookies {
        "none" => String::new(),
        "alone" => setup.own(),
        "last of twenty" => format!("{}{}", "other=some text; ".repeat(19), setup.own()),
        "forged" => forged,
        _ => format!("{}{}", format!("{forged}; ").repeat(50), setup.own()),
    };
    bencher
        .with_inputs(|| setup.request(&header))
        .bench_refs(|request| connect(request));
}

/// A visit that reads a number: all that a session adds to its handler.
#[divan::bench(args = MODES)]
fn read(bencher: Bencher, mode: &str) {
    visit(bencher, &Setup::new(mode, 2, 20), |session| {
        black_box(session["n"].as_u64());
    });
}

/// One that changes a number.
#[divan::bench(args = MODES)]
fn write(bencher: Bencher, mode: &str) {
    visit(bencher, &Setup::new(mode, 2, 20), add_one);
}

/// Reading one key of a session of 16 KiB in a hundred keys: what the others cost.
#[divan::bench(args = MODES)]
fn read_one_of_a_hundred(bencher: Bencher, mode: &str) {
    visit(bencher, &Setup::new(mode, 100, 16 << 10), |session| {
        black_box(session["n"].as_u64());
    });
}

#[divan::bench(args = MODES)]
fn write_one_of_a_hundred(bencher: Bencher, mode: &str) {
    visit(bencher, &Setup::new(mode, 100, 16 << 10), add_one);
}

/// A session made, and its cookie.
#[divan::bench(args = MODES)]
fn create(bencher: Bencher, mode: &str) {
    let setup = Setup::new(mode, 1, 0);
    bencher.bench_local(|| now(setup.sessions.cookie_for(|session| session["n"] = 1.into())));
}

fn add_one(session: &mut bsession::Session) {
    session.update("n", |n: u64| n + 1).expect("it is a number");
}

fn visit(bencher: Bencher, setup: &Setup, body: impl Fn(&mut bsession::Session)) {
    let header = setup.own();
    bencher
        .with_inputs(|| setup.request(&header))
        .bench_local_refs(|request| {
            let mut connection = connect(request);
            body(connection.session());
            now(connection.respond(request, "")).into_response()
        });
}
