//! Every order in which the steps of two or three requests can fall: all of them are run, on the
//! code that serves requests, over a store whose every operation is a step of its own.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_web::FromRequest;
use actix_web::cookie::Cookie;
use actix_web::test::TestRequest;
use bsession::testing::Fault;
use bsession::{Clock, Connection, Level, Sessions};
use serde_json::json;
use tokio::task::unconstrained;

use crate::support::{Faults, SECRET};

/// What a request does to its session.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Add,
    Set(&'static str),
    Read,
    Renew,
    Login(&'static str),
    Logout,
    Claim,
    /// Has an update of the key before its claim.
    UpdateAndClaim,
    Flash(&'static str),
    /// Flashes something itself, then asks for all.
    Flashes(&'static str),
    /// The same from two connections of one request, as of a middleware and a handler.
    FlashesApart(&'static str),
}

/// What became of it.
#[derive(Debug)]
struct Told {
    status: u16,
    cookie: Option<Cookie<'static>>,
    claimed: bool,
    flashes: Vec<String>,
}

impl Told {
    /// The session that the answer promises.
    fn token(&self) -> Option<&Cookie<'static>> {
        self.cookie
            .as_ref()
            .filter(|cookie| !cookie.value().is_empty())
    }
}

async fn connected(
    sessions: &Sessions,
    cookie: &Cookie<'static>,
) -> (actix_web::HttpRequest, Connection) {
    let request = TestRequest::default()
        .app_data(sessions.clone())
        .cookie(cookie.clone())
        .to_http_request();
    let connection = Connection::extract(&request)
        .await
        .expect("the store works");
    (request, connection)
}

async fn request(sessions: Sessions, cookie: Cookie<'static>, act: Act) -> Told {
    let (request, mut connection) = connected(&sessions, &cookie).await;
    if let Act::FlashesApart(text) = act {
        connection.session().flash(Level::Info, text);
        drop(connection);
        connection = Connection::extract(&request).await.expect("loaded before");
    }
    let session = connection.session();
    let (mut claimed, mut flashes) = (false, Vec::new());
    match act {
        Act::Add => drop(session.update("n", |n: u64| n + 1).expect("a number")),
        Act::Set(key) => session[key] = true.into(),
        Act::Read => drop(session["n"].clone()),
        Act::Renew => session.renew(),
        Act::Login(user) => session.login(user),
        Act::Logout => session.logout(),
        Act::Claim | Act::UpdateAndClaim => {
            if act == Act::UpdateAndClaim {
                let same = |code: Option<String>| code;
                session.update("code", same).expect("a text or nothing");
            }
            let code = session.claim::<String>("code").await;
            claimed = code.expect("a claim").is_some();
        }
        Act::Flash(text) => session.flash(Level::Info, text),
        Act::Flashes(_) | Act::FlashesApart(_) => {
            if let Act::Flashes(text) = act {
                session.flash(Level::Info, text);
            }
            let shown = session.flashes().await.expect("the store works");
            flashes.extend(shown.into_iter().map(|flash| flash.text));
        }
    }
    let response = connection.respond(&request, "done").await.into_response();
    let cookie = response
        .cookies()
        .find(|cookie| cookie.name() == "bsession")
        .map(Cookie::into_owned);
    Told {
        status: response.status().as_u16(),
        cookie,
        claimed,
        flashes,
    }
}

/// A session as a store has it after a run, or nothing.
async fn stored(sessions: &Sessions, cookie: &Cookie<'static>) -> Option<serde_json::Value> {
    let (_request, mut connection) = connected(sessions, cookie).await;
    let session = connection.session();
    (!session.is_new()).then(|| json!({ "user": session.user(), "data": session.data() }))
}

/// One run: what the requests were told, and where to look afterwards.
struct Run {
    sessions: Sessions,
    old: Cookie<'static>,
    told: Vec<Told>,
}

impl Run {
    async fn now(&self, cookie: &Cookie<'static>) -> Option<serde_json::Value> {
        stored(&self.sessions, cookie).await
    }

    /// The live sessions that an answer has promised to somebody.
    async fn promised(&self) -> Vec<serde_json::Value> {
        let mut live = Vec::new();
        for told in &self.told {
            if let Some(token) = told.token() {
                live.extend(self.now(token).await);
            }
        }
        live
    }
}

/// Polls the requests in the order that the choices say, and gives at each step how many there
/// were to choose from. Beyond its choices it takes the first.
async fn follow(acts: &[Act], later: Duration, choices: &[usize]) -> (Run, Vec<usize>) {
    let (mode, faults) = Faults::mode();
    let clock = Clock::default();
    let builder = Sessions::builder(SECRET).mode(mode).clock(clock.clone());
    let sessions = builder.build().expect("a service");
    let begin = |session: &mut bsession::Session| {
        session["n"] = 0.into();
        session["code"] = "once".into();
        if acts
            .iter()
            .any(|act| matches!(act, Act::Flashes(_) | Act::FlashesApart(_)))
        {
            session.flash(Level::Info, "stored");
        }
    };
    let old = sessions.cookie_for(begin).await.expect("a session");
    clock.advance(later);
    faults.always(Fault::Waits);

    // Without a budget: a runtime would pause who polls so much, and here nobody would wake them.
    type Step = Pin<Box<dyn Future<Output = Told>>>;
    let mut running: Vec<(usize, Step)> = acts
        .iter()
        .map(|act| Box::pin(unconstrained(request(sessions.clone(), old.clone(), *act))) as Step)
        .enumerate()
        .collect();
    let mut told: Vec<Option<Told>> = acts.iter().map(|_| None).collect();
    let mut options = Vec::new();
    while !running.is_empty() {
        let choice = choices.get(options.len()).copied().unwrap_or(0);
        options.push(running.len());
        let (number, step) = &mut running[choice];
        if let Poll::Ready(done) = step.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            told[*number] = Some(done);
            drop(running.remove(choice));
        }
    }
    faults.always(Fault::None);
    let told = told
        .into_iter()
        .map(|told| told.expect("it ran to its end"))
        .collect();
    (
        Run {
            sessions,
            old,
            told,
        },
        options,
    )
}

/// Runs `check` after every order of the steps; gives how many there are.
fn in_every_order(acts: &[Act], later: Duration, check: impl AsyncFn(&Run)) -> usize {
    actix_web::rt::System::new().block_on(async {
        let (mut choices, mut orders) = (Vec::new(), 0);
        loop {
            let (run, options) = follow(acts, later, &choices).await;
            check(&run).await;
            orders += 1;
            // The next order in the manner of an odometer: the last step that has another choice.
            choices.resize(options.len(), 0);
            while choices
                .last()
                .is_some_and(|choice| choice + 1 == options[choices.len() - 1])
            {
                choices.pop();
            }
            match choices.last_mut() {
                Some(choice) => *choice += 1,
                None => return orders,
            }
        }
    })
}

fn orders(acts: &[Act], check: impl AsyncFn(&Run)) {
    let count = in_every_order(acts, Duration::ZERO, check);
    println!("{acts:?}: {count} orders");
    assert!(count >= 10, "the requests did meet");
}

#[test]
fn no_update_is_lost() {
    for acts in [
        &[Act::Add, Act::Add][..],
        &[Act::Add, Act::Set("k"), Act::Add],
        &[Act::Add, Act::Add, Act::Add],
    ] {
        let adds = acts.iter().filter(|act| **act == Act::Add).count();
        orders(acts, async |run| {
            let session = run.now(&run.old).await.expect("it lives");
            assert_eq!(session["data"]["n"], json!(adds));
            assert_eq!(
                session["data"]["k"] == json!(true),
                acts.contains(&Act::Set("k"))
            );
            assert!(
                run.told
                    .iter()
                    .all(|told| told.status == 200 && told.cookie.is_none())
            );
        });
    }
}

#[test]
fn a_logout_sticks() {
    for other in [Act::Add, Act::Read, Act::Renew, Act::Set("k"), Act::Logout] {
        for third in [Act::Read, Act::Add, Act::Renew] {
            orders(&[Act::Logout, other, third], async |run| {
                assert_eq!(run.now(&run.old).await, None, "no load sees data after it");
                assert_eq!(
                    run.promised().await,
                    Vec::<serde_json::Value>::new(),
                    "and no answer promises any"
                );
                assert!(run.told.iter().all(|told| told.status == 200));
            });
        }
    }
}

#[test]
fn a_logout_sticks_against_a_touch() {
    let acts = [Act::Logout, Act::Read, Act::Read];
    let count = in_every_order(&acts, Duration::from_secs(3600), async |run| {
        assert_eq!(run.now(&run.old).await, None);
        assert_eq!(run.promised().await, Vec::<serde_json::Value>::new());
    });
    println!("{acts:?}, an hour later: {count} orders");
    assert!(count >= 10);
}

#[test]
fn at_most_one_live_id_follows_a_renewal() {
    for other in [Act::Add, Act::Renew, Act::Read] {
        orders(&[Act::Renew, other, Act::Add], async |run| {
            assert_eq!(run.now(&run.old).await, None, "the old id is dead");
            let live = run.promised().await;
            assert_eq!(
                live.len(),
                1,
                "the session has one id, and its visitor was told"
            );
            let kept = run.sessions.stats().late;
            let adds = u64::from(other == Act::Add) + 1;
            let n = live[0]["data"]["n"].as_u64().expect("a number");
            assert!(
                n + kept >= adds && n <= adds,
                "an update is counted, or it was late: {n} and {kept}"
            );
        });
    }
}

#[test]
fn a_login_ends_logged_in_and_leaves_no_other_user_behind() {
    for other in [
        Act::Login("joe"),
        Act::Login("eve"),
        Act::Add,
        Act::Logout,
        Act::Renew,
    ] {
        orders(&[Act::Login("joe"), other], async |run| {
            assert_eq!(run.now(&run.old).await, None, "the old id is dead");
            let mine = run.told[0].token().expect("a login sets a cookie");
            let session = run.now(mine).await;
            // A logout that began with the same id ends what was renewed from it.
            if other == Act::Logout && session.is_none() {
                return;
            }
            // So does another login that begins later. If both are under way, both sessions live.
            if let Act::Login(user) = other {
                let theirs = run.now(run.told[1].token().expect("a cookie")).await;
                let users = [(session, "joe"), (theirs, user)];
                let live: Vec<_> = users
                    .into_iter()
                    .filter_map(|(session, user)| Some((session?, user)))
                    .collect();
                assert!(!live.is_empty(), "one lives");
                assert!(live.iter().all(|(session, user)| session["user"] == *user));
                return;
            }
            assert_eq!(session.expect("it lives")["user"], "joe");
        });
    }
}

#[test]
fn a_value_is_claimed_once() {
    orders(&[Act::Claim, Act::Claim, Act::Claim], async |run| {
        assert_eq!(run.told.iter().filter(|told| told.claimed).count(), 1);
        assert_eq!(
            run.now(&run.old).await.expect("it lives")["data"],
            json!({"n": 0})
        );
    });
    orders(&[Act::Claim, Act::Add, Act::Claim], async |run| {
        assert_eq!(run.told.iter().filter(|told| told.claimed).count(), 1);
        assert_eq!(
            run.now(&run.old).await.expect("it lives")["data"],
            json!({"n": 1})
        );
    });
    orders(
        &[Act::UpdateAndClaim, Act::Claim, Act::UpdateAndClaim],
        async |run| {
            assert_eq!(run.told.iter().filter(|told| told.claimed).count(), 1);
        },
    );
    orders(&[Act::Claim, Act::Logout], async |run| {
        assert_eq!(run.now(&run.old).await, None);
    });
}

#[test]
fn a_flash_is_shown_once() {
    for acts in [
        &[Act::Flashes("own1"), Act::Flashes("own2"), Act::Add][..],
        &[Act::Flashes("own1"), Act::Flash("a"), Act::Flash("b")],
        &[Act::FlashesApart("own1"), Act::Flashes("own2")],
        &[
            Act::FlashesApart("own1"),
            Act::FlashesApart("own2"),
            Act::Flash("a"),
        ],
    ] {
        orders(acts, async |run| {
            let mut shown: Vec<_> = run.told.iter().flat_map(|told| &told.flashes).collect();
            let (_request, mut connection) = connected(&run.sessions, &run.old).await;
            let left = connection.session().flashes().await.expect("it lives");
            shown.extend(left.iter().map(|flash| &flash.text));
            shown.sort();
            let mut expected = vec!["stored"];
            expected.extend(acts.iter().filter_map(|act| match act {
                Act::Flash(text) | Act::Flashes(text) | Act::FlashesApart(text) => Some(*text),
                _ => None,
            }));
            expected.sort_unstable();
            assert_eq!(shown, expected);
            for told in &run.told {
                let own = told.flashes.last();
                assert!(own.is_none_or(|text| text.starts_with("own")), "{told:?}");
            }
        });
    }
}
