//! Messages for the next page: all of them arrive, and each once.

use std::sync::{Arc, Barrier};

use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Redirect, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Responder, post};
use bsession::{Connection, Flash, Level, connect, session};
use serde_json::json;

use crate::support::{Gate, Kind, Server, Setup, Site, Visitor, for_each_store};

#[post("/levels")]
#[session]
async fn every_level() -> bsession::Result<impl Responder> {
    for level in [Level::Info, Level::Success, Level::Warning, Level::Error] {
        session.flash(level, format!("{level}!"));
    }
    let waiting = session.waiting_flashes().to_vec();
    let flashes: Vec<Flash> = session.flashes().await?;
    assert_eq!((&flashes, session.waiting_flashes()), (&waiting, &[][..]));
    assert_eq!(session.flashes().await?, [], "taken");
    Ok(web::Json(flashes))
}

/// Flashes at each of its hops, and shows at the last.
#[post("/hop/{number}")]
#[session]
async fn hop(number: web::Path<u32>) -> impl Responder {
    session.flash(Level::Info, format!("hop {number}"));
    match *number {
        0 => Redirect::to("/flashes/last"),
        number => Redirect::to(format!("/hop/{}", number - 1)),
    }
    .see_other()
}

#[post("/logout-with-a-word")]
#[session]
async fn logout() -> impl Responder {
    session.flash(Level::Info, "not to be seen");
    session.purge();
    session.flash(Level::Success, "out");
    Redirect::to("/flashes/none").see_other()
}

#[post("/failing/{own}")]
#[session]
async fn failing(own: web::Path<String>) -> bsession::Result<impl Responder> {
    let shown = session.flashes().await?.len();
    session.flash(Level::Error, &**own);
    Ok(HttpResponse::InternalServerError().body(shown.to_string()))
}

#[post("/slowly")]
#[session]
async fn slowly(gate: web::Data<Gate>) -> impl Responder {
    session.flash(Level::Info, "slow");
    session["slow"] = true.into();
    gate.pass().await;
    "said"
}

#[post("/many/{count}")]
#[session]
async fn many(count: web::Path<usize>) -> impl Responder {
    (0..*count).for_each(|number| session.flash(Level::Info, number.to_string()));
    "flashed"
}

/// Sees and clears the dictionary.
#[post("/dictionary")]
#[session]
async fn dictionary() -> impl Responder {
    let keys = session.iter().map(|(key, _)| key);
    let keys = Vec::from_iter(keys).join(",");
    let seen = format!("{keys} {} {}", session.len(), session.is_empty());
    session.data_mut().clear();
    seen
}

/// Another part of the request flashes and counts, and a later one ends the session and does it, too.
async fn ended_between(request: HttpRequest) -> bsession::Result<impl Responder> {
    for end in [|_: &mut bsession::Session| (), bsession::Session::purge] {
        let mut connection = connect(&request).await?;
        let session = connection.session();
        end(session);
        session.flash(Level::Info, "said");
        session.update("count", |n: u64| n + 1)?;
    }
    let mut connection = connect(&request).await?;
    let session = connection.session();
    let flashes = session.flashes().await?.len();
    let count: Option<u64> = session.claim("count").await?;
    Ok(connection
        .respond(&request, web::Json((flashes, count)))
        .await)
}

/// Asks for flashes that another part of the request has just purged.
async fn purge_beside(
    request: HttpRequest,
    (mut one, mut other): (Connection, Connection),
) -> bsession::Result<impl Responder> {
    one.session().purge();
    one.session().flash(Level::Info, "after");
    drop(one);
    let flashes = other.session().flashes().await?;
    Ok(other.respond(&request, web::Json(flashes)).await)
}

/// What a middleware has to say.
async fn says(
    mut connection: Connection,
    request: actix_web::dev::ServiceRequest,
    next: Next<actix_web::body::BoxBody>,
) -> actix_web::Result<actix_web::dev::ServiceResponse> {
    connection.session().flash(Level::Warning, "by the way");
    drop(connection);
    next.call(request).await
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(every_level)
        .service(hop)
        .service(logout)
        .service(failing)
        .service(many)
        .service(slowly)
        .service(dictionary)
        .route("/ended-between", web::post().to(ended_between))
        .route("/purge-beside", web::post().to(purge_beside))
        .service(
            web::scope("/by-the-way")
                .wrap(from_fn(says))
                .configure(crate::support::configure),
        );
}

fn site(setup: &Setup) -> (Site, Visitor) {
    let site = Site::open_with(setup.sessions(), routes);
    let visitor = site.visitor();
    (site, visitor)
}

/// What a visitor is shown.
fn shown(visitor: &Visitor) -> Vec<String> {
    texts(&visitor.post("/flashes/none").body)
}

fn texts(body: &str) -> Vec<String> {
    serde_json::from_str(body).expect("a list of texts")
}

for_each_store! {
    fn flashes_go_through_redirects_and_are_shown_once(setup) {
        let (_site, visitor) = site(setup);
        let mut reply = visitor.post("/hop/3");
        while reply.status == 303 {
            reply = visitor.post(reply.header("location")[0]);
        }
        assert_eq!(texts(&reply.body), ["hop 3", "hop 2", "hop 1", "hop 0", "last"]);
        assert_eq!(shown(&visitor), [""; 0]);
        assert_eq!(visitor.session()["data"], json!({}), "and no key is left");
    }

    fn a_flash_has_a_level_and_a_text(setup) {
        let (_site, visitor) = site(setup);
        let levels = ["info", "success", "warning", "error"];
        let expected = levels.map(|level| json!({"level": level, "text": format!("{level}!")}));
        assert_eq!(visitor.post("/levels").json(), json!(expected));
    }

    fn whoever_has_none_pays_nothing(setup) {
        let (site, visitor) = site(setup);
        assert_eq!(shown(&visitor), [""; 0]);
        assert_eq!((site.sessions.stats().loads, visitor.token()), (0, None));
        assert_eq!(texts(&visitor.post("/flashes/own").body), ["own"]);
        assert_eq!((site.sessions.stats().creates, visitor.token()), (0, None), "nothing waited, nothing stays");
        visitor.post("/set/name/joe");
        let before = site.sessions.stats();
        assert_eq!(shown(&visitor), [""; 0]);
        assert_eq!(texts(&visitor.post("/flashes/own").body), ["own"]);
        assert_eq!(site.sessions.stats().commits, before.commits);
    }

    fn a_flash_after_a_purge_begins_a_session_that_carries_it(setup) {
        let (site, visitor) = site(setup);
        visitor.post("/login/joe");
        visitor.post("/flash/before");
        let old = visitor.token().expect("a cookie");
        assert_eq!(visitor.post("/logout-with-a-word").set_cookies().len(), 1);
        let session = visitor.session();
        assert_eq!((&session["user"], &session["data"]), (&json!(null), &json!({})));
        assert_eq!(shown(&visitor), ["out"]);
        assert_eq!(site.with_token("POST", "/flashes/none", &old).body, "[]");
    }

    fn what_a_failing_request_says_is_lost_and_what_it_took_is_gone(setup) {
        let (_site, visitor) = site(setup);
        visitor.post("/flash/one");
        let reply = visitor.post("/failing/two");
        assert_eq!((reply.status, &*reply.body), (500, "1"));
        assert_eq!(shown(&visitor), [""; 0]);
    }

    fn another_user_is_not_told(setup) {
        let (_site, visitor) = site(setup);
        visitor.post("/flash/welcome");
        visitor.post("/login/joe");
        assert_eq!(shown(&visitor), ["welcome"], "an anonymous session goes with whoever logs in");
        visitor.post("/flash/secret");
        visitor.post("/login/eve");
        assert_eq!(shown(&visitor), [""; 0]);
    }

    fn the_oldest_of_too_many_goes(setup) {
        let (_site, visitor) = site(setup);
        visitor.post("/many/30");
        visitor.post("/many/3");
        let shown = shown(&visitor);
        assert_eq!((shown.len(), &*shown[0], &*shown[31]), (32, "1", "2"));
    }

    fn a_waiting_flash_is_no_key_and_stays_when_the_dictionary_is_cleared(setup) {
        let (site, visitor) = site(setup);
        visitor.post("/flash/waits");
        assert_eq!(visitor.post("/dictionary").body, " 0 true");
        assert_eq!(site.sessions.stats().commits, 0, "there was nothing to clear");
        visitor.post("/set/name/joe");
        assert_eq!(visitor.post("/dictionary").body, "name 1 false");
        assert_eq!(visitor.session()["data"], json!({}));
        assert_eq!(shown(&visitor), ["waits"]);
    }

    fn a_key_of_any_name_is_just_a_key(setup) {
        let (_site, visitor) = site(setup);
        for key in ["_flash", "_csrf", "_user"] {
            visitor.post(&format!("/set/{key}/mine"));
        }
        visitor.post("/flash/waits");
        assert_eq!(texts(&visitor.post("/flashes/own").body), ["waits", "own"]);
        assert_eq!(visitor.session()["data"], json!({"_flash": "mine", "_csrf": "mine", "_user": "mine"}));
        assert_eq!(visitor.post("/dictionary").body, "_csrf,_flash,_user 3 false");
    }

    fn what_was_said_before_a_purge_in_the_request_is_not_shown(setup) {
        let (_site, visitor) = site(setup);
        assert_eq!(visitor.post("/ended-between").json(), json!([1, 1]));
        visitor.post("/set/name/joe");
        assert_eq!(visitor.post("/ended-between").json(), json!([1, 1]));
        assert_eq!(shown(&visitor), [""; 0]);
    }

    fn flashes_of_requests_that_meet_all_arrive_beside_what_each_set(setup) {
        let (site, visitor) = site(setup);
        visitor.post("/flash/first");
        let other = visitor.meanwhile(|visitor| visitor.post("/slowly"));
        site.gate.await_arrivals(1);
        visitor.post("/flash/quick");
        visitor.post("/set/name/joe");
        site.gate.open(1);
        assert_eq!(other.join().expect("an answer").status, 200);
        assert_eq!(visitor.session()["data"], json!({"name": "joe", "slow": true}));
        assert_eq!(shown(&visitor), ["first", "quick", "slow"]);
    }

    fn what_was_shown_meanwhile_is_not_brought_back_by_a_slow_request(setup) {
        let (site, visitor) = site(setup);
        visitor.post("/flash/first");
        let other = visitor.meanwhile(|visitor| visitor.post("/slowly"));
        site.gate.await_arrivals(1);
        assert_eq!(shown(&visitor), ["first"]);
        site.gate.open(1);
        assert_eq!(other.join().expect("an answer").status, 200);
        assert_eq!(shown(&visitor), ["slow"]);
    }

    fn a_middlewares_flash_is_shown_by_the_handler_behind_those_that_waited(setup) {
        let (site, visitor) = site(setup);
        visitor.post("/flash/waits");
        assert_eq!(texts(&visitor.post("/by-the-way/flashes/own").body), ["waits", "by the way", "own"]);
        assert_eq!(shown(&visitor), [""; 0]);
        assert_eq!(visitor.session()["data"], json!({}));
        let before = site.sessions.stats();
        assert_eq!(texts(&visitor.post("/by-the-way/flashes/own").body), ["by the way", "own"]);
        assert_eq!(site.sessions.stats().commits, before.commits);
        assert_eq!(visitor.post("/by-the-way/purge/nothing").status, 200);
        assert_eq!(shown(&visitor), [""; 0], "a purge takes what the middleware said");
    }

    fn what_a_part_of_the_request_purged_no_other_part_shows(setup) {
        let (_site, visitor) = site(setup);
        visitor.post("/flash/before");
        let shown = visitor.post("/purge-beside").json();
        assert_eq!(shown, json!([{"level": "info", "text": "after"}]));
    }

    fn requests_at_once_show_each_flash_once(setup) {
        let (site, visitor) = site(setup);
        visitor.post("/set/name/joe");
        for _ in 0..50 {
            race(&vec![visitor.clone(); 8]);
            if site.sessions.stats().conflicts > 0 {
                return;
            }
        }
        panic!("they never raced");
    }
}

#[test]
fn requests_to_two_processes_show_each_flash_once() {
    let setup = Setup::new(Kind::File);
    let servers = [(); 2].map(|()| Server::start(&setup.dir.path().join("sessions")));
    let visitor = servers[0].visitor();
    visitor.post("/set/name/joe");
    let tabs: Vec<_> = (0..8)
        .map(|number| visitor.at(servers[number % 2].address))
        .collect();
    race(&tabs);
}

/// Some tabs leave flashes, others show them, all at once: at the end each was shown once.
fn race(tabs: &[Visitor]) {
    const ROUNDS: usize = 20;
    let start = Arc::new(Barrier::new(tabs.len()));
    let running: Vec<_> = tabs
        .iter()
        .enumerate()
        .map(|(tab, visitor)| {
            let (visitor, start) = (visitor.clone(), Arc::clone(&start));
            std::thread::spawn(move || {
                let mut shown = Vec::new();
                for round in 0..ROUNDS {
                    start.wait();
                    if (tab / 2 + round).is_multiple_of(2) {
                        assert_eq!(visitor.post(&format!("/flash/{tab}-{round}")).status, 200);
                    } else {
                        let reply = visitor.post(&format!("/flashes/{tab}-{round}"));
                        assert_eq!(reply.status, 200);
                        shown.extend(texts(&reply.body));
                    }
                }
                shown
            })
        })
        .collect();
    let mut all: Vec<String> = running
        .into_iter()
        .flat_map(|tab| tab.join().expect("no failure"))
        .collect();
    all.extend(shown(&tabs[0]));
    all.sort();
    let mut expected: Vec<_> = (0..tabs.len())
        .flat_map(|tab| (0..ROUNDS).map(move |round| format!("{tab}-{round}")))
        .collect();
    expected.sort();
    assert_eq!(all, expected);
}

#[actix_web::test]
async fn a_long_text_is_cut_between_two_characters() {
    let mut session = bsession::Session::default();
    session.flash(Level::Info, format!("x{}", "é".repeat(1000)));
    session.flash(Level::Info, "short");
    let flashes = session.flashes().await.expect("no store is asked");
    let lengths: Vec<_> = flashes.iter().map(|flash| flash.text.len()).collect();
    assert_eq!(lengths, [1023, 5]);
}
