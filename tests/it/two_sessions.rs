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
use crate::support::{Kind, Reply, Setup, Site, configure, for_each_store};

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

/// A cookie as a browser keeps it: apart from one of the same name with another domain.
#[derive(Default)]
struct Kept([Option<String>; 2]);

impl Kept {
    /// Keeps what a response sets, and lets go of what it removes.
    fn take(&mut self, reply: &Reply) {
        for cookie in reply.set_cookies() {
            let place = usize::from(cookie.contains("Domain=shop.example"));
            self.0[place] = reply.token().map(str::to_owned);
        }
    }

    /// Asks a site with both cookies, in either order, since browsers differ in it.
    fn ask(&mut self, site: &Site, method: &str, path: &str, newest_first: bool) -> Reply {
        let mut cookies: Vec<_> = self
            .0
            .iter()
            .flatten()
            .map(|it| format!("bsession={it}"))
            .collect();
        if newest_first {
            cookies.reverse();
        }
        let reply = site.with_cookies(method, path, &[cookies.join("; ").as_bytes()]);
        self.take(&reply);
        reply
    }
}

for_each_store! {
    /// Browsers keep the cookie from before beside the new one, and no response removes it.
    fn a_domain_that_is_set_later_logs_nobody_out_and_a_logout_is_one(setup) {
        let shared: Option<Arc<dyn Store>> = (setup.kind == Kind::Memory).then(|| testing::store(Mode::Memory));
        let over_store = |builder: Builder| match &shared {
            Some(store) => builder.mode(Arc::clone(store)),
            None => builder,
        };
        let before = Site::open(over_store(setup.builder()).build().expect("a service"));
        let after = over_store(setup.builder().domain("shop.example"));
        let after = Site::open(after.build().expect("a service"));
        for newest_first in [false, true] {
            let mut browser = Kept::default();
            browser.ask(&before, "POST", "/login/joe", newest_first);
            assert!(matches!(browser.0, [Some(_), None]));
            let user = |browser: &mut Kept| browser.ask(&after, "GET", "/all", newest_first).json()["user"].clone();
            assert_eq!(user(&mut browser), "joe", "the change logs nobody out");
            setup.clock.advance(Duration::from_secs(4 * 86_400));
            assert_eq!(user(&mut browser), "joe");
            assert!(matches!(&browser.0, [Some(one), Some(other)] if one == other), "moved with the visit, to the same session");
            browser.ask(&after, "POST", "/add/visits", newest_first);
            browser.ask(&after, "POST", "/renew", newest_first);
            assert_eq!(user(&mut browser), "joe", "beside the id from before the renewal");
            assert!(browser.ask(&after, "POST", "/logout", newest_first).removes_cookie());
            assert!(matches!(browser.0, [Some(_), None]), "nobody removes the first one");
            assert_eq!(user(&mut browser), json!(null), "and it is worth nothing");
            for span in [0, 120] {
                setup.clock.advance(Duration::from_secs(span));
                browser.ask(&after, "POST", "/login/eve", newest_first);
                assert_eq!(user(&mut browser), "eve");
                browser.ask(&after, "POST", "/add/visits", newest_first);
                assert_eq!(browser.ask(&after, "GET", "/get/visits", newest_first).body, "1");
                browser.ask(&after, "POST", "/logout", newest_first);
            }
        }
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
