//! What many sessions cost a Redis: its memory for each, its CPU time and its traffic for each request.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml --features redis --bin redis_scale [-- --sessions N]` starts
//! a Redis, makes a million sessions in it through the library, and prints Markdown. No server and no
//! sockets but those to Redis: a request is made, connected, changed or not, and saved.

#[path = "../redis.rs"]
mod redis;

use std::{
    hint::black_box,
    process::ExitCode,
    sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use actix_web::{HttpRequest, cookie::Cookie, test::TestRequest};
use bsession::{Clock, RedisStore, Session, Sessions};

use self::redis::{Redis, Traffic};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const SECRET: &[u8] = b"a secret of the comparison, known to everybody";
const USAGE: &str = "usage: redis_scale [--sessions N] [--requests N]

  --sessions  how many there are: half of them logged in, each as a user of its own (default 1000000)
  --requests  of each kind, each of another session (default 10000)";

/// Who sends requests: threads with a connection each, and how many each of them has under way.
#[derive(Clone, Copy)]
struct Load {
    threads: usize,
    at_once: usize,
}

impl Load {
    const fn new(threads: usize, at_once: usize) -> Self {
        Self { threads, at_once }
    }
}

const ALONE: Load = Load::new(1, 1);
/// So many by one connection, as of a busy worker, and by one connection each, as of many hosts.
const BUSY: Load = Load::new(1, 64);
const MANY: Load = Load::new(64, 1);
/// How many sessions a user has whose sessions are listed.
const OF_A_USER: [usize; 3] = [1, 10, 1000];
/// How often they are listed.
const LISTINGS: usize = 200;
/// After so long every session is due for a touch.
const TOUCHED_EVERY: Duration = Duration::from_secs(61);

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("redis_scale: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    sessions: usize,
    requests: usize,
}

fn options() -> Result<Options> {
    let mut options = Options {
        sessions: 1_000_000,
        requests: 10_000,
    };
    let args: Vec<String> = std::env::args().skip(1).collect();
    for pair in args.chunks(2) {
        match pair {
            [name, value] if name == "--sessions" => options.sessions = value.parse()?,
            [name, value] if name == "--requests" => options.requests = value.parse()?,
            _ => return Err(USAGE.into()),
        }
    }
    if options.requests == 0 || options.requests > options.sessions / 2 {
        return Err("of each half of the sessions there have to be as many as requests".into());
    }
    Ok(options)
}

fn run(options: &Options) -> Result<()> {
    let mut redis = Redis::start()?;
    let version = redis.version()?;
    println!("Redis {version} on the same machine, which saves nothing to disk.");
    let clock = Clock::default();
    let builder = Sessions::builder(SECRET).mode(RedisStore::at(redis.url()));
    let setup = Arc::new(Setup {
        sessions: builder.clock(clock.clone()).build()?,
        cookies: Mutex::default(),
    });
    fill(&mut redis, &setup, options)?;
    requests(&mut redis, &setup, &clock, options)?;
    listings(&mut redis, &setup)
}

struct Setup {
    sessions: Sessions,
    /// Of some of the sessions, as many as there are requests of a kind.
    cookies: Mutex<Vec<Cookie<'static>>>,
}

impl Setup {
    fn cookies(&self) -> MutexGuard<'_, Vec<Cookie<'static>>> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, place: usize) -> HttpRequest {
        let cookie = self.cookies()[place].clone();
        TestRequest::default()
            .app_data(self.sessions.clone())
            .cookie(cookie)
            .to_http_request()
    }

    /// One visit to one of the sessions; a new cookie replaces the old.
    async fn visit(&self, place: usize, body: impl FnOnce(&mut Session)) -> Result<()> {
        let request = self.request(place);
        let mut connection = bsession::connect(&request).await?;
        body(connection.session());
        let response = connection.respond(&request, "").await.into_response();
        if !response.status().is_success() {
            return Err(response.status().to_string().into());
        }
        if let Some(cookie) = response.cookies().next() {
            self.cookies()[place] = cookie.into_owned();
        }
        Ok(())
    }
}

/// What Redis and those who wait for it have spent on so many of a kind.
struct Cost {
    times: f64,
    elapsed: Duration,
    /// Sorted.
    latencies: Vec<Duration>,
    redis_cpu: Duration,
    traffic: Traffic,
}

impl Cost {
    fn per_second(&self) -> f64 {
        self.times / self.elapsed.as_secs_f64()
    }

    fn micros(&self, percent: usize) -> f64 {
        let place = (self.latencies.len() * percent).div_ceil(100).max(1) - 1;
        1e6 * self.latencies[place].as_secs_f64()
    }

    /// The cells that every table has.
    fn cells(&self) -> String {
        let Traffic {
            round_trips,
            bytes_in,
            bytes_out,
        } = self.traffic;
        format!(
            "{:.0} | {:.0} | {:.2} | {:.2} | {:.0} | {:.0} |",
            self.micros(50),
            self.micros(99),
            1e6 * self.redis_cpu.as_secs_f64() / self.times,
            round_trips as f64 / self.times,
            bytes_in as f64 / self.times,
            bytes_out as f64 / self.times,
        )
    }
}

/// The heads of the cells that every table has.
const CELLS: &str =
    "median µs | p99 µs | CPU µs of Redis | reads of Redis | bytes to Redis | bytes from Redis |";
const LINE: &str = "---:|---:|---:|---:|---:|---:|";

/// Does `one` for every number below `times`.
fn measure(
    redis: &mut Redis,
    setup: &Arc<Setup>,
    times: usize,
    load: Load,
    one: impl AsyncFn(&Setup, usize) -> Result<()> + Clone + Send + 'static,
) -> Result<Cost> {
    // Twice: when all are connected, and when what came before is written down.
    let start = Arc::new(Barrier::new(load.threads + 1));
    let threads: Vec<_> = (0..load.threads)
        .map(|thread| {
            let (setup, one, start) = (Arc::clone(setup), one.clone(), Arc::clone(&start));
            thread::spawn(move || {
                actix_web::rt::System::new().block_on(async {
                    let connected = setup.sessions.of_user("nobody").await;
                    start.wait();
                    start.wait();
                    connected?;
                    visits(&setup, times, load, thread, one).await
                })
            })
        })
        .collect();
    start.wait();
    let (cpu, traffic) = (redis.cpu()?, redis.traffic()?);
    start.wait();
    let begun = Instant::now();
    let mut latencies = Vec::with_capacity(times);
    for thread in threads {
        latencies.extend(thread.join().map_err(|_| "a thread panicked")??);
    }
    let elapsed = begun.elapsed();
    latencies.sort_unstable();
    Ok(Cost {
        times: times as f64,
        elapsed,
        latencies,
        redis_cpu: redis.cpu()? - cpu,
        traffic: redis.traffic()? - traffic,
    })
}

/// What one thread does of them.
async fn visits(
    setup: &Arc<Setup>,
    times: usize,
    load: Load,
    thread: usize,
    one: impl AsyncFn(&Setup, usize) -> Result<()> + Clone + 'static,
) -> Result<Vec<Duration>> {
    let step = load.threads * load.at_once;
    let tasks: Vec<_> = (0..load.at_once)
        .map(|task| {
            let (setup, one) = (Arc::clone(setup), one.clone());
            actix_web::rt::spawn(async move {
                let mut latencies = Vec::with_capacity(times / step + 1);
                for number in (thread * load.at_once + task..times).step_by(step) {
                    let begun = Instant::now();
                    one(&setup, number).await?;
                    latencies.push(begun.elapsed());
                }
                Result::Ok(latencies)
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    Ok(latencies)
}

/// Makes the sessions, and says what they take.
fn fill(redis: &mut Redis, setup: &Arc<Setup>, options: &Options) -> Result<()> {
    println!(
        "\n### Sessions of a name and a counter, made {} at a time\n",
        BUSY.at_once
    );
    println!(
        "`used_memory` is what Redis has asked of its allocator, keys and indexes included, `used_memory_rss` what of it \
         lies in RAM; a table of keys that has just doubled is half empty.\n"
    );
    println!(
        "| which | how many | bytes each, used | bytes each, resident | per second | {CELLS}\n\
         |---|---:|---:|---:|---:|{LINE}"
    );
    let count = options.sessions / 2;
    let every = count / options.requests;
    for (which, logged_in) in [("anonymous", false), ("logged in", true)] {
        eprintln!("making {count} sessions, {which}");
        setup.cookies().clear();
        let used = redis.memory("used_memory")?;
        let resident = redis.memory("used_memory_rss")?;
        let cost = measure(redis, setup, count, BUSY, async move |setup, number| {
            let make = |session: &mut Session| {
                session["user"] = "ann".into();
                session["visits"] = 1000.into();
                if logged_in {
                    session.login(format!("user{number:09}"));
                }
            };
            let cookie = setup.sessions.cookie_for(make).await?;
            if number.is_multiple_of(every) {
                setup.cookies().push(cookie);
            }
            Ok(())
        })?;
        let each = |before: u64, after: u64| (after as f64 - before as f64) / count as f64;
        println!(
            "| {which} | {count} | {:.0} | {:.0} | {:.0} | {}",
            each(used, redis.memory("used_memory")?),
            each(resident, redis.memory("used_memory_rss")?),
            cost.per_second(),
            cost.cells(),
        );
    }
    Ok(())
}

/// Visits, each to another one of the sessions that are logged in.
fn requests(redis: &mut Redis, setup: &Arc<Setup>, clock: &Clock, options: &Options) -> Result<()> {
    println!("\n### Requests among {} sessions\n", options.sessions);
    println!(
        "{} of a kind, to sessions that are logged in, from the same machine. One that is read for the first time \
         in a minute is touched.\n",
        options.requests
    );
    println!(
        "| connections | at once on each | request | per second | {CELLS}\n|---:|---:|---|---:|{LINE}"
    );
    for load in [ALONE, BUSY, MANY] {
        let Load { threads, at_once } = load;
        for (what, body) in KINDS {
            eprintln!("{threads} connections, {at_once} at once on each: {what}");
            if what == TOUCHING {
                clock.advance(TOUCHED_EVERY);
            }
            let times = options.requests;
            let cost = measure(redis, setup, times, load, async move |setup, number| {
                // By a large prime, so that neighbours in time were not made one after the other.
                setup.visit(number * 7_919 % times, body).await
            })?;
            let rate = cost.per_second();
            let cells = cost.cells();
            println!("| {threads} | {at_once} | {what} | {rate:.0} | {cells}");
        }
    }
    Ok(())
}

type Body = fn(&mut Session);

const TOUCHING: &str = "read, the first in a minute";
const KINDS: [(&str, Body); 4] = [
    (TOUCHING, read),
    ("read", read),
    ("write", |session| session["visits"] = next(session).into()),
    ("renew", Session::renew),
];

fn read(session: &mut Session) {
    black_box(session["visits"].as_u64());
}

fn next(session: &Session) -> u64 {
    session["visits"].as_u64().unwrap_or_default() + 1
}

/// The list of a user's sessions.
fn listings(redis: &mut Redis, setup: &Arc<Setup>) -> Result<()> {
    println!("\n### All sessions of a user\n");
    println!("{LISTINGS} times, one at a time.\n");
    println!("| sessions of the user | {CELLS}\n|---:|{LINE}");
    for count in OF_A_USER {
        eprintln!("listing {count} sessions of a user");
        let user = format!("a user of {count}");
        let name = user.clone();
        measure(redis, setup, count, ALONE, async move |setup, _| {
            let login = |session: &mut Session| session.login(&name);
            setup.sessions.cookie_for(login).await?;
            Ok(())
        })?;
        let cost = measure(redis, setup, LISTINGS, ALONE, async move |setup, _| {
            let found = setup.sessions.of_user(&user).await?.len();
            if found == count {
                Ok(())
            } else {
                Err(format!("{user} has {found} sessions, not {count}").into())
            }
        })?;
        println!("| {count} | {}", cost.cells());
    }
    Ok(())
}
