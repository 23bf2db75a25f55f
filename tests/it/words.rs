//! What the words `lock`, `readonly` and `renew` of the attribute do.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Path, ServiceConfig};
use actix_web::{HttpResponse, Responder, get, post};
use bsession::{Session, session};
use serde_json::json;

use crate::support::{Setup, Site, for_each_store};

#[get("/readonly")]
#[session(readonly)]
async fn readonly() -> impl Responder {
    session["name"].to_string()
}

#[get("/borrowed")]
#[session]
async fn borrowed(visitor: &Session) -> impl Responder {
    visitor["name"].to_string()
}

#[post("/promote/{status}")]
#[session(renew)]
async fn promote(status: Path<u16>) -> impl Responder {
    if let Some(count) = session["promoted"].as_u64() {
        session["promoted"] = (count + 1).into();
    }
    HttpResponse::new(StatusCode::from_u16(*status).expect("a status"))
}

/// Reads, lets others run, and writes.
#[post("/count")]
#[session(lock)]
async fn add_one() -> bsession::Result<impl Responder> {
    let count: u64 = session.get("count")?.unwrap_or(0);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    session.insert("count", count + 1)?;
    Ok(count.to_string())
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(readonly)
        .service(borrowed)
        .service(promote)
        .service(add_one);
}

fn site(setup: &Setup) -> Site {
    Site::open_with(setup.sessions(), routes)
}

for_each_store! {
    fn who_only_reads_slides_the_expiry_and_writes_nothing_else(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        for path in ["/readonly", "/borrowed"] {
            assert_eq!(visitor.get(path).body, "null");
            assert_eq!(visitor.token(), None);
        }
        visitor.post("/set/name/joe");
        for path in ["/readonly", "/borrowed", "/readonly"] {
            let before = site.sessions.stats();
            setup.clock.advance(Duration::from_secs(61));
            assert_eq!(visitor.get(path).body, "\"joe\"");
            let after = site.sessions.stats();
            assert_eq!((after.touches - before.touches, after.commits - before.commits), (1, 0));
        }
        for path in ["/borrowed", "/readonly", "/readonly"] {
            setup.clock.advance(Duration::from_secs(20 * 24 * 60 * 60));
            assert_eq!(visitor.get(path).body, "\"joe\"");
        }
    }

    fn handlers_that_lock_their_session_run_one_after_the_other(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        visitor.post("/set/name/joe");
        let tabs: Vec<_> = (0..8).map(|_| visitor.meanwhile(|visitor| {
            for _ in 0..4 {
                assert_eq!(visitor.post("/count").status, 200);
            }
            visitor.post("/count")
        })).collect();
        for tab in tabs {
            assert_eq!(tab.join().expect("an answer").status, 200);
        }
        assert_eq!(visitor.session()["data"]["count"], json!(40));
    }

    fn a_handler_that_changes_rights_changes_the_id(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        assert_eq!(visitor.post("/promote/200").set_cookies().len(), 0, "nobody there to be renewed");
        visitor.post("/set/name/joe");
        let old = visitor.token().expect("a cookie");
        assert_eq!(visitor.post("/promote/200").status, 200);
        assert_ne!(visitor.token().as_deref(), Some(&*old));
        assert_eq!(visitor.session()["data"], json!({ "name": "joe" }));
        assert_eq!(site.with_token("GET", "/get/name", &old).body, "null", "the old id is dead at once");
        let second = visitor.token();
        assert_eq!(visitor.post("/promote/500").status, 500);
        assert_ne!(visitor.token(), second, "also if the handler failed");
        assert_eq!(visitor.session()["data"], json!({ "name": "joe" }));
    }
}
