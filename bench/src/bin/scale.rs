//! How the cost of a session grows: with threads, with how many there are, with what is in one.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml --bin scale [-- --sessions N]` prints Markdown.
//! No server and no sockets: a request is made, connected, changed or not, and saved, which is all
//! that a session adds to a handler.

use std::{
    hint::black_box,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use actix_web::{FromRequest, HttpRequest, cookie::Cookie, test::TestRequest};
use bsession::{Clock, Connection, FileStore, Mode, Sessions};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const SECRET: &[u8] = b"a secret of the comparison, known to everybody";
const USAGE: &str = "usage: scale [--sessions N]   (default 100000)";

/// How often what is timed is repeated; the median is told.
const ROUNDS: usize = 7;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let sessions = match args[..] {
        [] => 100_000,
        ["--sessions", number] => number.parse()?,
        _ => return Err(USAGE.into()),
    };
    threads()?;
    contents()?;
    numbers(sessions)
}

/// A service of its own, in a directory of its own if it keeps files.
struct Setup {
    name: &'static str,
    clock: Clock,
    sessions: Sessions,
    dir: Option<tempfile::TempDir>,
}

impl Setup {
    fn all() -> Result<[Self; 2]> {
        Ok([Self::memory()?, Self::file()?])
    }

    fn memory() -> Result<Self> {
        let clock = Clock::default();
        let builder = Sessions::builder(SECRET).mode(Mode::Memory);
        Ok(Self {
            name: "memory",
            sessions: builder.clock(clock.clone()).build()?,
            clock,
            dir: None,
        })
    }

    fn file() -> Result<Self> {
        let clock = Clock::default();
        let dir = tempfile::tempdir()?;
        let builder = Sessions::builder(SECRET).mode(FileStore::at(dir.path().join("sessions")));
        Ok(Self {
            name: "file",
            sessions: builder.clock(clock.clone()).build()?,
            clock,
            dir: Some(dir),
        })
    }

    fn request(&self, cookie: &Cookie<'static>) -> HttpRequest {
        TestRequest::default()
            .app_data(self.sessions.clone())
            .cookie(cookie.clone())
            .to_http_request()
    }

    async fn session(&self, keys: usize, bytes: usize) -> Result<Cookie<'static>> {
        let text = "x".repeat(bytes);
        let make = |session: &mut bsession::Session| {
            session["n"] = 0.into();
            for key in 1..keys {
                session[&*format!("key {key}")] = text.as_str().into();
            }
        };
        Ok(self.sessions.cookie_for(make).await?)
    }
}

/// One visit; only what the session costs is timed, not the making of a request.
async fn visit(setup: &Setup, cookie: &Cookie<'static>, writes: bool) -> Result<Duration> {
    let request = setup.request(cookie);
    let begun = Instant::now();
    let mut connection = Connection::extract(&request).await?;
    let session = connection.session();
    if writes {
        session.update("n", |n: u64| n + 1)?;
    } else {
        black_box(session.get::<u64>("n")?);
    }
    let response = connection.respond(&request, "").await.into_response();
    let spent = begun.elapsed();
    if response.status().is_success() {
        Ok(spent)
    } else {
        Err(response.status().to_string().into())
    }
}

/// The median over the rounds of the mean time of a visit, in nanoseconds.
async fn visits(setup: &Setup, cookies: &[Cookie<'static>], writes: bool) -> Result<f64> {
    const VISITS: usize = 2_000;
    let mut means = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let mut spent = Duration::ZERO;
        for number in 0..VISITS {
            // By a large prime, so that neighbours in time are none in memory.
            let place = (round * VISITS + number) * 7_919 % cookies.len();
            spent += visit(setup, &cookies[place], writes).await?;
        }
        means.push(spent.as_nanos() as f64 / VISITS as f64);
    }
    means.sort_by(f64::total_cmp);
    Ok(means[ROUNDS / 2])
}

fn run<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    actix_web::rt::System::new().block_on(future)
}

/// Each thread is as a worker is: with a runtime of its own.
fn threads() -> Result<()> {
    let cores = thread::available_parallelism()?.get();
    println!("\n### Threads ({cores} cores)\n");
    println!("Visits per second of each thread, in thousands.\n");
    println!("| mode | visits | sessions | 1 thread | {cores} threads |");
    println!("|---|---|---|---:|---:|");
    for setup in Setup::all()? {
        let setup = Arc::new(setup);
        for writes in [false, true] {
            for shared in [false, true] {
                let one = on_threads(&setup, 1, writes, shared)?;
                let all = on_threads(&setup, cores, writes, shared)?;
                let what = if writes { "write" } else { "read" };
                let whose = if shared { "one" } else { "of their own" };
                println!(
                    "| {} | {what} | {whose} | {one:.0} | {all:.0} |",
                    setup.name
                );
            }
        }
    }
    Ok(())
}

fn on_threads(setup: &Arc<Setup>, count: usize, writes: bool, shared: bool) -> Result<f64> {
    let shared = shared
        .then(|| run(async { setup.session(2, 10).await }))
        .transpose()?;
    let start = Arc::new(Barrier::new(count));
    let threads: Vec<_> = (0..count)
        .map(|_| {
            let (setup, start, shared) = (Arc::clone(setup), Arc::clone(&start), shared.clone());
            thread::spawn(move || {
                let spent = run(async {
                    let cookie = match shared {
                        Some(cookie) => cookie,
                        None => setup.session(2, 10).await?,
                    };
                    start.wait();
                    visits(&setup, &[cookie], writes).await
                });
                spent.map_err(|error| error.to_string())
            })
        })
        .collect();
    let mut rates = 0.0;
    for thread in threads {
        let nanos = thread.join().map_err(|_| "a thread panicked")??;
        rates += 1e6 / nanos;
    }
    Ok(rates / count as f64)
}

fn contents() -> Result<()> {
    println!("\n### What is in a session\n");
    println!("Nanoseconds of a visit that reads, or adds one to, one number beside the others.\n");
    println!("| mode | keys | bytes each | read | write |");
    println!("|---|---:|---:|---:|---:|");
    for setup in Setup::all()? {
        for (keys, bytes) in [
            (1, 0),
            (10, 10),
            (100, 10),
            (100, 600),
            (2, 100),
            (2, 60_000),
        ] {
            let (read, write) = run(async {
                let cookie = [setup.session(keys, bytes).await?];
                Ok((
                    visits(&setup, &cookie, false).await?,
                    visits(&setup, &cookie, true).await?,
                ))
            })?;
            println!(
                "| {} | {keys} | {bytes} | {read:.0} | {write:.0} |",
                setup.name
            );
        }
    }
    Ok(())
}

fn numbers(most: usize) -> Result<()> {
    println!("\n### How many there are\n");
    println!(
        "Nanoseconds of a visit to any of them; the sweeper goes through all, and then all have expired.\n"
    );
    println!(
        "| mode | sessions | read | write | open again | sweep, none expired | sweep, all expired |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for setup in Setup::all()? {
        let mut cookies = Vec::with_capacity(most);
        for count in [1_000, most] {
            let (read, write) = run(async {
                while cookies.len() < count {
                    cookies.push(setup.session(2, 10).await?);
                }
                Ok((
                    visits(&setup, &cookies, false).await?,
                    visits(&setup, &cookies, true).await?,
                ))
            })?;
            let opened = match &setup.dir {
                Some(dir) => {
                    let begun = Instant::now();
                    let files = FileStore::at(dir.path().join("sessions"));
                    let again = Sessions::builder(SECRET).mode(files).build()?;
                    drop(again);
                    format!("{:.2} ms", begun.elapsed().as_secs_f64() * 1e3)
                }
                None => "–".to_owned(),
            };
            let begun = Instant::now();
            setup.sessions.sweep()?;
            let swept = begun.elapsed().as_secs_f64();
            let deleted = if count == most {
                setup.clock.advance(Duration::from_secs(40 * 24 * 60 * 60));
                let begun = Instant::now();
                let deleted = setup.sessions.sweep()?;
                format!("{deleted} in {:.2} s", begun.elapsed().as_secs_f64())
            } else {
                "–".to_owned()
            };
            println!(
                "| {} | {count} | {read:.0} | {write:.0} | {opened} | {swept:.2} s | {deleted} |",
                setup.name
            );
        }
    }
    Ok(())
}
