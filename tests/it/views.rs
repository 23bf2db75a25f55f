//! Typed views: what a handler is lent of its session, and what becomes of it.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ServiceConfig};
use actix_web::{HttpResponse, Responder, get, post};
use bsession::{Session, View, session};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::sentences::FAULTY;
use crate::support::{Gate, Setup, Site, for_each_store};

#[derive(Default, Serialize, Deserialize)]
struct Cart {
    items: Vec<String>,
    coupon: Option<String>,
}

impl View for Cart {}

#[derive(Default, Serialize, Deserialize)]
struct Last {
    #[serde(rename = "last_item")]
    item: String,
}

impl View for Last {}

/// A view that is written as a list.
#[derive(Default, Serialize, Deserialize)]
struct Pair(u32, u32);

impl View for Pair {}

#[get("/cart")]
#[session]
async fn show(cart: &Cart, Last { item }: &Last) -> impl Responder {
    format!("{} {:?} {item}", cart.items.join(","), cart.coupon)
}

#[post("/buy/{item}")]
#[session]
async fn buy(cart: &mut Cart, item: Path<String>, last: &mut Last) -> impl Responder {
    cart.items.push(item.to_string());
    last.item = item.into_inner();
    cart.items.len().to_string()
}

#[post("/coupon/{name}")]
#[session]
async fn coupon(name: Path<String>, gate: Data<Gate>, cart: &mut Cart) -> impl Responder {
    cart.coupon = Some(name.into_inner());
    gate.pass().await;
    "ten percent off"
}

#[post("/answer/{status}")]
#[session]
async fn answer(status: Path<u16>, cart: &mut Cart) -> impl Responder {
    cart.items.push("answered".into());
    HttpResponse::new(StatusCode::from_u16(*status).expect("a status"))
}

/// Changes the session beside the view.
#[post("/both/{what}")]
#[session]
async fn both(what: Path<String>, cart: &mut Cart, visitor: &mut Session) -> impl Responder {
    match &**what {
        "set" => {
            visitor["items"] = json!(["body"]);
            visitor["coupon"] = "body".into();
        }
        "purge" => visitor.purge(),
        other => visitor.login(other),
    }
    cart.items = vec!["view".into()];
    "both"
}

#[derive(Default, Serialize, Deserialize)]
struct Scale {
    label: String,
    factor: f64,
}

impl View for Scale {}

#[post("/scale/{factor}")]
#[session]
async fn scale(factor: Path<f64>, scale: &mut Scale) -> impl Responder {
    scale.label = format!("by {factor}");
    scale.factor = *factor;
    "scaled"
}

/// A view whose field had another name once.
#[derive(Default, Serialize, Deserialize)]
struct Renamed {
    #[serde(alias = "name")]
    called: String,
}

impl View for Renamed {}

#[post("/renamed")]
#[session]
async fn renamed(view: &mut Renamed) -> impl Responder {
    view.called += "!";
    view.called.clone()
}

/// A view of whatever there is.
#[derive(Default, Serialize, Deserialize)]
struct Flat {
    #[serde(flatten)]
    all: HashMap<String, serde_json::Value>,
}

impl View for Flat {}

#[post("/flat")]
#[session]
async fn flat(view: &mut Flat) -> impl Responder {
    view.all.insert("more".into(), 1.into());
    view.all.len().to_string()
}

#[derive(Serialize, Deserialize)]
struct Theme {
    theme: Option<String>,
}

impl Default for Theme {
    fn default() -> Self {
        Self {
            theme: Some("dark".into()),
        }
    }
}

impl View for Theme {}

#[post("/theme/{theme}")]
#[session]
async fn theme(path: Path<String>, view: &mut Theme) -> impl Responder {
    view.theme = Some(path.into_inner()).filter(|theme| theme != "none");
    "set"
}

#[get("/pair")]
#[session]
async fn pair(pair: &Pair) -> impl Responder {
    (pair.0 + pair.1).to_string()
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(show)
        .service(buy)
        .service(coupon)
        .service(answer)
        .service(both)
        .service(scale)
        .service(renamed)
        .service(flat)
        .service(theme)
        .service(pair);
}

fn site(setup: &Setup) -> Site {
    Site::open_with(setup.sessions(), routes)
}

for_each_store! {
    fn a_view_is_loaded_before_the_body_and_written_after_it(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        assert_eq!(visitor.get("/cart").body, " None ");
        assert_eq!(visitor.get("/cart").set_cookies().len(), 0, "a view that is only read makes no session");
        assert_eq!(visitor.post("/buy/book").body, "1");
        assert_eq!(visitor.post("/buy/pen").body, "2");
        assert_eq!(visitor.get("/cart").body, "book,pen None pen");
        assert_eq!(visitor.session()["data"], json!({ "items": ["book", "pen"], "last_item": "pen" }),
            "a field that never changed is not stored");
    }

    fn changes_of_different_fields_at_once_both_survive(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        visitor.post("/buy/book");
        let other = visitor.meanwhile(|visitor| visitor.post("/coupon/ten"));
        site.gate.await_arrivals(1);
        visitor.post("/buy/pen");
        site.gate.open(1);
        assert_eq!(other.join().expect("an answer").status, 200);
        assert_eq!(visitor.get("/cart").body, "book,pen Some(\"ten\") pen");
    }

    fn a_view_is_saved_as_the_session_is(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        assert_eq!(visitor.post("/answer/404").status, 404);
        assert_eq!(visitor.post("/answer/500").status, 500);
        assert_eq!(visitor.session()["data"], json!({ "items": ["answered"] }));
    }

    fn what_the_view_changed_is_put_over_what_the_body_set(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        visitor.post("/both/set");
        assert_eq!(visitor.session()["data"], json!({ "items": ["view"], "coupon": "body" }));
    }

    fn a_view_brings_nothing_back(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        visitor.post("/buy/book");
        visitor.post("/both/joe");
        assert_eq!(visitor.session()["data"]["items"], json!(["view"]), "what was anonymous is the user's");
        visitor.post("/both/eve");
        let session = visitor.session();
        assert_eq!((&session["user"], &session["data"]), (&json!("eve"), &json!({})));
        visitor.post("/buy/pen");
        visitor.post("/both/purge");
        assert_eq!(visitor.session()["data"], json!({}));
    }

    fn a_stored_value_that_does_not_fit_is_left(setup) {
        let site = site(setup);
        let visitor = site.visitor();
        visitor.post("/set/items/many");
        visitor.post("/set/coupon/ten");
        assert_eq!(visitor.get("/cart").body, " Some(\"ten\") ");
        assert_eq!(visitor.session()["data"]["items"], json!("many"));
        assert_eq!(visitor.post("/buy/book").body, "1");
        assert_eq!(visitor.session()["data"]["items"], json!(["book"]));
    }
}

#[test]
fn a_view_with_a_number_that_json_does_not_have_sets_nothing() {
    let setup = Setup::new(crate::support::Kind::Memory);
    let site = site(&setup);
    let visitor = site.visitor();
    assert_eq!(visitor.post("/scale/2.5").status, 200);
    for bad in ["NaN", "inf", "-inf"] {
        assert_eq!(visitor.post(&format!("/scale/{bad}")).status, 500, "{bad}");
        assert_eq!(
            visitor.session()["data"],
            json!({ "label": "by 2.5", "factor": 2.5 })
        );
    }
}

#[test]
fn a_view_that_is_no_map_is_the_applications_fault() {
    let setup = Setup::new(crate::support::Kind::Memory);
    let site = site(&setup);
    let reply = site.visitor().get("/pair");
    assert_eq!((reply.status, &*reply.body), (500, FAULTY));
}

/// Reported: the value that is stored under the alias was ignored without a word, and so were changes of a flattened map.
#[test]
fn a_view_that_would_lose_a_change_is_the_applications_fault_at_the_first_use() {
    let setup = Setup::new(crate::support::Kind::Memory);
    let site = site(&setup);
    for path in ["/renamed", "/flat"] {
        for visitor in [site.visitor(), site.visitor()] {
            let before = visitor.session();
            let reply = visitor.post(path);
            assert_eq!((reply.status, &*reply.body), (500, FAULTY), "{path}");
            assert_eq!(visitor.session(), before);
            visitor.post("/set/name/joe");
            assert_eq!(visitor.post(path).status, 500);
            assert_eq!(visitor.session()["data"], json!({ "name": "joe" }));
        }
    }
}

#[test]
fn a_none_that_would_be_the_default_again_is_the_applications_fault() {
    let setup = Setup::new(crate::support::Kind::Memory);
    let site = site(&setup);
    let visitor = site.visitor();
    assert_eq!(visitor.post("/theme/none").status, 500);
    assert_eq!(visitor.post("/theme/light").status, 200);
    assert_eq!(visitor.post("/theme/none").status, 500);
    assert_eq!(visitor.session()["data"], json!({ "theme": "light" }));
}
