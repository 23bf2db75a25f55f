//! A service that is killed, again and again, at any moment of its saves.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use actix_web::FromRequest;
use actix_web::test::TestRequest;
use bsession::{Connection, Handle, Session, Sessions};
use serde::{Deserialize, Serialize};

use super::directory;
use crate::support::{Kind, SECRET, Setup};

const KILLS: usize = 100;
const SAVES: usize = 10_500;
/// So many sessions are there at a time, and so many threads save them.
const PLACES: usize = 8;
const THREADS: usize = 4;

/// What a service is to go on with, told to its process.
const STATE: &str = "BSESSION_TEST_STATE";
const DIRECTORY: &str = "BSESSION_TEST_VICTIM";

/// A session as its visitor was told, or will be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    token: String,
    user: Option<String>,
    n: u64,
    len: usize,
}

/// What a victim tells: what it is about to do, and that it was done.
#[derive(Debug, Serialize, Deserialize)]
enum Tells {
    /// The token is that of before: which one will follow is not known.
    Next(usize, Next),
    Done(usize, Option<Kept>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Next {
    what: What,
    after: Option<Kept>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum What {
    Create,
    Save,
    Renew,
    Login,
    Remove,
}

/// Text that says its number and its length.
fn fill(n: u64, len: usize) -> String {
    let letter = char::from(b'a' + (n % 26) as u8);
    String::from(letter).repeat(len)
}

fn write(session: &mut Session, kept: &Kept) {
    session["n"] = kept.n.into();
    session["fill"] = fill(kept.n, kept.len).into();
}

async fn connected(sessions: &Sessions, token: &str) -> (actix_web::HttpRequest, Connection) {
    let request = TestRequest::default()
        .app_data(sessions.clone())
        .insert_header(("cookie", format!("bsession={token}")))
        .to_http_request();
    let connection = Connection::extract(&request).await.expect("it works");
    (request, connection)
}

/// A request that changes a session, and the token that it has then.
async fn saved(sessions: &Sessions, token: &str, change: impl FnOnce(&mut Session)) -> String {
    let (request, mut connection) = connected(sessions, token).await;
    change(connection.session());
    let response = connection.respond(&request, "saved").await.into_response();
    assert_eq!(response.status(), 200);
    let cookie = response
        .cookies()
        .find(|cookie| cookie.name() == "bsession");
    cookie.map_or_else(|| token.to_owned(), |cookie| cookie.value().to_owned())
}

/// What a session is to be next: mostly as large as it was, or nearly, and now and then much
/// larger, so that it moves into another file.
fn next(place: usize, before: Option<&Kept>) -> Next {
    let Some(before) = before else {
        let (token, user) = (String::new(), None);
        let after = Some(Kept {
            token,
            user,
            n: 1,
            len: 50,
        });
        return Next {
            what: What::Create,
            after,
        };
    };
    let len = match fastrand::usize(..5) {
        0 => fastrand::usize(900..5000),
        _ => fastrand::usize(..300),
    };
    let after = Kept {
        n: before.n + 1,
        len,
        ..before.clone()
    };
    let (what, after) = match fastrand::usize(..12) {
        0 => (What::Renew, Some(after)),
        1 => (
            What::Login,
            Some(Kept {
                user: Some(user(place)),
                ..after
            }),
        ),
        2 => (What::Remove, None),
        _ => (What::Save, Some(after)),
    };
    Next { what, after }
}

fn user(place: usize) -> String {
    format!("user{place}")
}

/// Does it, and gives the token of the session then.
async fn done(sessions: &Sessions, before: &str, next: &Next) -> String {
    let &Next { what, ref after } = next;
    let Some(after) = after else {
        return saved(sessions, before, Session::purge).await;
    };
    if let What::Create = what {
        let cookie = sessions.cookie_for(|session| write(session, after)).await;
        return cookie.expect("a session").value().to_owned();
    }
    let user = after.user.clone().unwrap_or_default();
    let change = |session: &mut Session| {
        write(session, after);
        match what {
            What::Renew => session.renew(),
            What::Login => session.login(user),
            What::Create | What::Save | What::Remove => {}
        }
    };
    saved(sessions, before, change).await
}

/// Run by the test below, in processes of its own that it kills; by itself it does nothing.
#[test]
fn victim() {
    let told = |name: &str| std::env::var(name).ok();
    let (Some(directory), Some(state)) = (told(DIRECTORY), told(STATE)) else {
        return;
    };
    let mut state: Vec<Option<Kept>> = serde_json::from_str(&state).expect("what was told");
    let sessions = service(Path::new(&directory));
    println!();
    std::thread::scope(|scope| {
        for (thread, kept) in state.chunks_mut(PLACES / THREADS).enumerate() {
            let (first, sessions) = (thread * (PLACES / THREADS), &sessions);
            scope.spawn(move || actix_web::rt::System::new().block_on(save(sessions, first, kept)));
        }
    });
}

/// Saves some of the sessions again and again, and tells so.
async fn save(sessions: &Sessions, first: usize, state: &mut [Option<Kept>]) {
    let tell = |tells: Tells| {
        let line = serde_json::to_string(&tells).expect("JSON");
        println!("{line}");
    };
    // Far more than it will be left to do, and an end if nobody is there to kill it.
    for _ in 0..100_000 {
        let number = fastrand::usize(..state.len());
        let (place, before) = (first + number, state[number].take());
        let next = next(place, before.as_ref());
        tell(Tells::Next(place, next.clone()));
        let token = before.map(|kept| kept.token).unwrap_or_default();
        let token = done(sessions, &token, &next).await;
        state[number] = next.after.map(|kept| Kept { token, ..kept });
        tell(Tells::Done(place, state[number].clone()));
    }
}

fn service(directory: &Path) -> Sessions {
    let builder = Sessions::builder(SECRET).mode(bsession::FileStore::at(directory));
    builder.build().expect("a service")
}

/// Starts a victim, kills it behind some answers and a moment, and gives how many there were; the
/// state is then what was answered, and what was not comes with it.
fn kill(directory: &Path, state: &mut [Option<Kept>]) -> (usize, Vec<Option<Next>>) {
    let mut victim = Command::new(std::env::current_exe().expect("this program"))
        .args(["processes::kills::victim", "--exact", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(STATE, serde_json::to_string(state).expect("JSON"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process");
    let lines = BufReader::new(victim.stdout.take().expect("piped")).lines();
    let mut tells = lines.filter_map(|line| serde_json::from_str(&line.ok()?).ok());
    let (mut answered, mut open) = (0, vec![None; PLACES]);
    let mut note = |tells: Tells| match tells {
        Tells::Next(place, next) => open[place] = Some(next),
        Tells::Done(place, after) => {
            (state[place], open[place]) = (after, None);
            answered += 1;
        }
    };
    tells
        .by_ref()
        .take(fastrand::usize(1..400))
        .for_each(&mut note);
    (0..fastrand::usize(..20_000)).for_each(|_| std::hint::spin_loop());
    victim.kill().expect("it runs");
    tells.for_each(&mut note);
    let status = victim.wait().expect("it ends");
    assert!(status.code().is_none(), "it failed before it was killed");
    (answered, open)
}

/// A session as it is found: all but its token, and its public name.
async fn found(sessions: &Sessions, token: &str) -> Option<(Kept, Handle)> {
    let (_request, mut connection) = connected(sessions, token).await;
    let session = connection.session();
    if session.is_new() {
        assert!(session.is_empty());
        return None;
    }
    let (n, text) = (session["n"].as_u64()?, session["fill"].as_str()?);
    assert_eq!(text, fill(n, text.len()), "half of a save");
    let (token, len) = (token.to_owned(), text.len());
    let user = session.user().map(str::to_owned);
    Some((
        Kept {
            token,
            user,
            n,
            len,
        },
        session.handle()?,
    ))
}

/// Looks at a session behind a kill: it is what was answered, or what was about to be.
async fn check(sessions: &Sessions, kept: &mut Option<Kept>, open: Option<Next>) {
    let Some(before) = kept.take() else { return };
    let Some((now, handle)) = found(sessions, &before.token).await else {
        let what = open.map(|next| next.what);
        let removals = sessions.stats().removals;
        assert_eq!(saved(sessions, &before.token, Session::purge).await, "");
        // Under a new id of which nobody was told, a logout still finds it.
        let removed = sessions.stats().removals - removals;
        match what {
            Some(What::Remove) => assert_eq!(removed, 0),
            Some(What::Renew | What::Login) => assert_eq!(removed, 1),
            _ => panic!("lost: {before:?}, {what:?}"),
        }
        return;
    };
    let next = open.and_then(|next| next.after);
    assert!(
        now == before || Some(&now) == next.as_ref(),
        "{now:?} for {before:?}, {next:?}"
    );
    if let Some(user) = &now.user {
        let listed = sessions.of_user(user).await.expect("it works");
        assert!(
            listed.iter().any(|info| info.handle == handle),
            "not listed: {now:?}"
        );
    }
    // And no lock is in the way of the next save.
    let next = Kept {
        n: now.n + 1,
        ..now
    };
    saved(sessions, &next.token, |session| write(session, &next)).await;
    *kept = Some(next);
}

/// All files, relative to the directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let below = paths.flat_map(|path| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    });
    // The mark that the lists of users are whole is no session's, nor is the file that git reads.
    below
        .filter(|path| !path.ends_with("users/.whole") && !path.ends_with(".gitignore"))
        .collect()
}

/// Neither a session nor on the list of a user: half of a creation, between two names, or set aside.
fn is_stray(path: &PathBuf) -> bool {
    let is_empty = std::fs::metadata(path).expect("a file").len() == 0;
    let has = |name: &str| path.components().any(|part| part.as_os_str() == name);
    path.extension().is_some() || has("damaged") || is_empty && !has("users")
}

#[test]
fn a_hundred_kills_in_ten_thousand_saves_lose_nothing_that_was_answered() {
    let setup = Setup::new(Kind::File);
    let directory = directory(&setup);
    let sessions = setup.sessions();
    let mut state = vec![None; PLACES];
    let (mut kills, mut saves, mut within) = (0, 0, 0);
    while kills < KILLS || saves < SAVES {
        assert!(
            kills < 10 * KILLS,
            "victims get nothing done: {saves} saves"
        );
        let (answered, open) = kill(&directory, &mut state);
        (kills, saves) = (kills + 1, saves + answered);
        within += open.iter().flatten().count();
        actix_web::rt::System::new().block_on(async {
            for (kept, open) in state.iter_mut().zip(open) {
                check(&sessions, kept, open).await;
            }
        });
    }
    let strays = files(&directory).into_iter().filter(is_stray).count();
    println!("{kills} kills behind {saves} saves and within {within} left {strays} strays");
    assert!(within > KILLS, "they are killed within saves: {within}");

    for path in files(&directory) {
        let file = std::fs::File::options()
            .write(true)
            .open(&path)
            .expect("a file");
        file.try_lock().expect("nobody holds a lock");
        file.set_modified(SystemTime::now() - Duration::from_secs(3600))
            .expect("a time");
    }
    sessions.sweep().expect("a sweep");
    let strays: Vec<_> = files(&directory).into_iter().filter(is_stray).collect();
    assert_eq!(strays, Vec::<PathBuf>::new());
    assert_eq!(sessions.stats().unreadable, 0, "every record opens");

    // Those of which nobody was told expire, as all others do.
    setup.clock.advance(Duration::from_secs(31 * 24 * 3600));
    sessions.sweep().expect("a sweep");
    assert_eq!(files(&directory), Vec::<PathBuf>::new());
}
