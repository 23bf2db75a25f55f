//! The size of a session: what fits is saved, what does not is refused where it can be answered.

use actix_web::web::{Data, Json, Path, ServiceConfig};
use actix_web::{HttpResponse, Responder, post};
use bsession::{Error, Level, session};
use serde_json::{Value, json};

use crate::support::{Gate, Reply, Setup, Site, Visitor, for_each_store};

const MAX: usize = 1000;

/// Sets a value, and responds with the result.
#[post("/put/{how}/{key}")]
#[session]
async fn put(path: Path<(String, String)>, value: Json<Value>) -> bsession::Result<impl Responder> {
    let (how, key) = path.into_inner();
    let value = value.into_inner();
    let before = session.data().clone();
    let put = match &*how {
        "insert" => session.insert(&key, value),
        "update" => session.update(&key, move |_: Value| value).map(drop),
        "after-index" => {
            session["nested"]["by"] = "index".into();
            session.insert(&key, value)
        }
        "index" => {
            session[&*key] = value;
            Ok(())
        }
        other => panic!("no such thing: {other}"),
    };
    Ok(match put {
        Ok(()) => HttpResponse::Ok().finish(),
        Err(Error::TooLarge { size, max }) => {
            assert!(how == "after-index" || before == *session.data());
            assert!(size > max && max == MAX);
            HttpResponse::PayloadTooLarge().finish()
        }
        Err(other) => return Err(other),
    })
}

/// Sets a value of some length, and waits before that is saved.
#[post("/slow/{key}/{length}")]
#[session]
async fn slow(path: Path<(String, usize)>, gate: Data<Gate>) -> bsession::Result<impl Responder> {
    session.insert(&path.0, "x".repeat(path.1))?;
    gate.pass().await;
    Ok("set")
}

/// Leaves a flash of quotes, each of which takes two bytes.
#[post("/quotes/{count}")]
#[session]
async fn quotes(count: Path<usize>) -> impl Responder {
    for _ in 0..*count {
        session.flash(Level::Info, "\"".repeat(1024));
    }
    "flashed"
}

fn routes(config: &mut ServiceConfig) {
    config.service(put).service(slow).service(quotes);
}

fn site(setup: &Setup) -> Site {
    let sessions = setup.builder().max_size(MAX).build().expect("a service");
    Site::open_with(sessions, routes)
}

fn put_value(visitor: &Visitor, how: &str, key: &str, value: &Value) -> u16 {
    visitor
        .send_json(&format!("/put/{how}/{key}"), value)
        .status
}

fn data(visitor: &Visitor) -> Value {
    visitor.session()["data"].clone()
}

/// Fills the session up to this size.
fn fill(visitor: &Visitor, size: usize) {
    let empty = json!({ "fill": "" }).to_string().len();
    let filling = json!("f".repeat(size - empty));
    assert_eq!(put_value(visitor, "insert", "fill", &filling), 200);
    assert_eq!(data(visitor).to_string().len(), size);
}

for_each_store! {
    fn a_full_session_takes_a_login_and_flashes(setup) {
        let site = site(setup);
        for size in [MAX - 1, MAX] {
            let visitor = site.visitor();
            fill(&visitor, size);
            assert_eq!(visitor.post("/login/a-name-that-would-not-fit").status, 200);
            assert_eq!(visitor.post("/flash/and-a-message").status, 200);
            let session = visitor.session();
            assert_eq!(session["user"], "a-name-that-would-not-fit");
            assert_eq!(session["data"].to_string().len(), size);
            // A flash that waits leaves as much room as there was.
            assert_eq!(put_value(&visitor, "insert", "one", &json!(1)), 413);
            fill_over(&visitor, MAX);
            assert_eq!(visitor.post("/flashes/none").json(), json!(["and-a-message"]));
        }
    }

    fn a_value_is_taken_if_and_only_if_it_fits(setup) {
        let site = site(setup);
        for how in ["insert", "update", "after-index"] {
            let visitor = site.visitor();
            let others = [
                json!({"list": [1, -2, 3.5, null, true, [], {}]}), json!("\"quoted\" \\ \n \u{1} é"),
                json!(1e300), json!(i64::MIN), json!("shorter"), json!({"a": {"b": {"c": "d"}}}),
            ];
            for (number, other) in others.iter().enumerate() {
                for key in ["other", "new"] {
                    assert_eq!(put_value(&visitor, how, &format!("{key}{}", number % 2), other), 200);
                }
                let mut expected = data(&visitor);
                expected["text"] = json!("");
                let left = MAX - expected.to_string().len();
                for length in [left - 1, left, left + 1, left + 2] {
                    let before = data(&visitor);
                    let answer = put_value(&visitor, how, "text", &json!("x".repeat(length)));
                    assert_eq!(answer, if length <= left { 200 } else { 413 }, "{how} {length} of {left}");
                    let after = data(&visitor);
                    assert_eq!(after == before, length > left, "{how} {length} of {left}");
                }
                assert_eq!(data(&visitor).to_string().len(), MAX);
                assert_eq!(put_value(&visitor, how, "text", &json!("")), 200, "there is room again");
            }
        }
    }

    fn the_first_value_may_take_all_of_the_room(setup) {
        let site = site(setup);
        fill(&site.visitor(), MAX);
        let visitor = site.visitor();
        let empty = json!({ "fill": "" }).to_string().len();
        let filling = json!("f".repeat(MAX - empty + 1));
        assert_eq!(put_value(&visitor, "insert", "fill", &filling), 413);
        assert_eq!(visitor.token(), None);
    }

    fn what_is_set_by_index_fails_at_the_save_and_changes_nothing(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        fill(&visitor, MAX - 1);
        let before = visitor.session();
        assert_eq!(put_value(&visitor, "index", "more", &json!(1)), 500);
        assert_eq!(visitor.session(), before);
    }

    fn two_values_that_fit_only_alone_fail_at_the_later_save(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        let other_tab = visitor.meanwhile(|visitor| visitor.post("/slow/slow/600"));
        site.gate.await_arrivals(1);
        let other = json!("y".repeat(600));
        assert_eq!(put_value(&visitor, "insert", "quick", &other), 200);
        site.gate.open(1);
        let Reply { status, .. } = other_tab.join().expect("an answer");
        assert_eq!(status, 500, "no 503: nothing is gained by trying again");
        assert_eq!(data(&visitor), json!({ "name": "joe", "quick": other }));
    }

    fn a_flood_of_flashes_keeps_the_latest_and_disturbs_no_value(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        fill(&visitor, MAX);
        assert_eq!(visitor.post("/quotes/100").status, 200);
        assert_eq!(visitor.post("/flash/last").status, 200);
        assert_eq!(data(&visitor)["fill"].as_str().map(str::len), Some(MAX - 11));
        let flashes = visitor.post("/flashes/none").json();
        let waiting = flashes.as_array().expect("a list");
        assert!((20..=32).contains(&waiting.len()), "{}", waiting.len());
        assert!(flashes.to_string().len() <= 64 * 1024);
        assert_eq!(waiting.last().expect("one"), "last");
    }
}

fn fill_over(visitor: &Visitor, size: usize) {
    let empty = json!({ "fill": "" }).to_string().len();
    let filling = json!("g".repeat(size - empty));
    assert_eq!(put_value(visitor, "insert", "fill", &filling), 200);
}

/// The limit was lowered since the session was saved.
#[test]
fn a_session_above_a_lowered_limit_can_be_made_smaller() {
    let setup = Setup::new(crate::support::Kind::File);
    let before = setup.site();
    let visitor = before.visitor();
    visitor.post(&format!("/set/one/{}", "x".repeat(700)));
    visitor.post(&format!("/set/two/{}", "x".repeat(700)));
    let site = site(&setup);
    let visitor = visitor.at(site.address);
    assert_eq!(
        put_value(&visitor, "insert", "one", &json!("x".repeat(800))),
        413
    );
    assert_eq!(
        put_value(&visitor, "insert", "one", &json!("x".repeat(600))),
        500
    );
    assert_eq!(data(&visitor)["one"].as_str().map(str::len), Some(700));
    assert_eq!(put_value(&visitor, "insert", "one", &json!("small")), 200);
    assert_eq!(data(&visitor)["one"], "small");
}
