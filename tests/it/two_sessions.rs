//! Two live sessions under one name: cookies of two paths in one browser, as after a change of `path`.

use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::System;
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, web};
use bsession::testing::{self, Client};
use bsession::{Builder, Mode, Sessions, store::Store};
use serde_json::{Value, json};

use crate::events::events_of;
use crate::support::{Kind, Setup, Site, configure, for_each_store};

/// The service before and after the change, over one store.
fn services(setup: &Setup) -> [Sessions; 2] {
    let shared: Option<Arc<dyn Store>> =
        (setup.kind == Kind::Memory).then(|| testing::store(Mode::Memory));
    let over_store = |builder: Builder| match &shared {
        Some(store) => builder.mode(Arc::clone(store)),
        None => builder,
    };
    ["/shop", "/"].map(|path| {
        let builder = over_store(setup.builder().path(path));
        builder.build().expect("a service")
    })
}

/// The site before the change below `/shop/before`, and after it at every other path.
macro_rules! app {
    ($before:expr, $after:expr) => {
        init_service(
            App::new()
                .app_data($after.clone())
                .service(
                    web::scope("/shop/before")
                        .app_data($before.clone())
                        .configure(configure),
                )
                .service(web::scope("/shop").configure(configure))
                .configure(configure),
        )
        .await
    };
}

/// Begins a session in each of two tabs of a site, and returns both cookies as a browser sends them together.
fn two_tokens(site: &Site, first: &str, second: &str) -> [String; 2] {
    [first, second].map(|path| {
        let reply = site.with_cookies("POST", path, &[]);
        reply.token().expect("a session").to_owned()
    })
}

fn both(tokens: &[String; 2]) -> String {
    format!("bsession={}; bsession={}", tokens[0], tokens[1])
}

fn value(site: &Site, token: &str) -> String {
    site.with_token("GET", "/get/name", token).body
}

for_each_store! {
    fn a_write_brings_a_visitor_out_of_it(setup) {
        System::new().block_on(async {
            let [before, after] = services(setup);
            let app = app!(before, after);
            let browser = Client::new(&app, &after);
            let all = async |path: &str| browser.get(path).await.json::<Value>();
            browser.post("/shop/before/set/name/old", ()).await;
            browser.post("/set/name/new", ()).await;
            let page = all("/shop/all").await;
            assert_eq!((&page["new"], &page["data"]), (&json!(true), &json!({})), "neither counts");
            assert_eq!(all("/all").await["data"], json!({ "name": "new" }), "one cookie is sent there");

            let reply = browser.post("/shop/set/name/other", ()).await;
            assert_eq!(reply.status(), 200);
            let cookies: Vec<_> = reply.headers().get_all("set-cookie").collect();
            assert!(matches!(cookies[..], [cookie] if cookie.to_str().is_ok_and(|it| it.contains("Path=/;"))), "{cookies:?}");
            for path in ["/shop/all", "/all", "/shop/before/all"] {
                assert_eq!(all(path).await["data"], json!({ "name": "other" }), "{path}");
            }
            browser.post("/shop/add/visits", ()).await;
            browser.post("/shop/login/joe", ()).await;
            setup.clock.advance(Duration::from_secs(3600));
            browser.post("/shop/add/visits", ()).await;
            for path in ["/shop/all", "/all"] {
                let page = all(path).await;
                assert_eq!((&page["user"], &page["data"]["visits"]), (&json!("joe"), &json!(2)), "{path}");
            }
            let stats = after.stats();
            assert_eq!((stats.creates, stats.removals, stats.late), (2, 2, 0));
        });
    }

    fn a_write_changes_nothing_where_one_of_the_two_has_a_user(setup) {
        let site = setup.site();
        let tokens = two_tokens(&site, "/set/name/one", "/login/joe");
        for both in [both(&tokens), both(&[tokens[1].clone(), tokens[0].clone()])] {
            assert_eq!(site.with_cookies("GET", "/get/name", &[both.as_bytes()]).body, "null");
            let reply = site.with_cookies("POST", "/set/name/eve", &[both.as_bytes()]);
            assert_eq!((reply.status, reply.set_cookies()), (200, vec![]), "not kept");
        }
        assert_eq!(value(&site, &tokens[0]), "\"one\"");
        assert_eq!(site.with_token("GET", "/all", &tokens[1]).json()["user"], "joe");
        // A login is not ambiguous: it ends both.
        let reply = site.with_cookies("POST", "/login/joe", &[both(&tokens).as_bytes()]);
        let token = reply.token().expect("a session");
        assert_eq!(site.with_token("GET", "/all", token).json()["user"], "joe");
        for token in &tokens {
            assert_eq!(site.with_token("GET", "/all", token).json()["user"], json!(null));
        }
    }

    fn two_writes_at_once_begin_one_session(setup) {
        let site = setup.site();
        let tokens = two_tokens(&site, "/set/name/one", "/set/name/two");
        let shown = both(&tokens);
        std::thread::scope(|scope| {
            let held = scope.spawn(|| site.with_cookies("POST", "/held/set/name", &[shown.as_bytes()]));
            site.gate.await_arrivals(1);
            let reply = site.with_cookies("POST", "/set/name/quick", &[shown.as_bytes()]);
            let token = reply.token().expect("a session").to_owned();
            site.gate.open(1);
            let held = held.join().expect("an answer");
            assert_eq!((held.status, held.set_cookies()), (200, vec![]), "it came too late");
            assert_eq!(value(&site, &token), "\"quick\"");
            assert_eq!(tokens.each_ref().map(|token| value(&site, token)), ["null", "null"]);
        });
    }

    fn a_login_in_another_tab_is_not_undone(setup) {
        let site = setup.site();
        let tokens = two_tokens(&site, "/set/name/one", "/set/name/two");
        let shown = both(&tokens);
        std::thread::scope(|scope| {
            let held = scope.spawn(|| site.with_cookies("POST", "/held/set/name", &[shown.as_bytes()]));
            site.gate.await_arrivals(1);
            let login = site.with_token("POST", "/login/joe", &tokens[1]);
            site.gate.open(1);
            let held = held.join().expect("an answer");
            assert_eq!((held.status, held.set_cookies()), (200, vec![]), "it came too late");
            let token = login.token().expect("a session");
            let session = site.with_token("GET", "/all", token).json();
            assert_eq!((&session["user"], &session["data"]["name"]), (&json!("joe"), &json!("two")));
            assert_eq!(value(&site, &tokens[0]), "\"one\"", "untouched");
        });
    }
}

#[test]
fn it_is_told_what_to_do_about_it_once_a_minute() {
    let setup = Setup::new(Kind::Memory);
    let [before, after] = services(&setup);
    let lines = events_of(|| {
        System::new().block_on(async {
            let app = app!(before, after);
            let browser = Client::new(&app, &after);
            browser.post("/shop/before/set/name/old", ()).await;
            browser.post("/set/name/new", ()).await;
            for _ in 0..3 {
                browser.send(TestRequest::get().uri("/shop/all")).await;
                browser.get("/shop/all").await;
                setup.clock.advance(Duration::from_secs(30));
            }
        });
    });
    let told: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("two_live_sessions"))
        .collect();
    assert_eq!(told.len(), 2, "{lines:#?}");
    assert!(
        told.iter().all(|line| line.contains("WARN")
            && line.contains(" handle=")
            && line.contains(" other_handle=")
            && line.contains("give the service another `cookie_name`")),
        "{told:#?}"
    );
}
