//! Requests from other sites' pages: refused before a handler's body, and a token for whose browser
//! does not tell.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderName;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Form, Html, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Responder};
use bsession::{Connection, Hooks, Session, Sessions, connect, session};

use crate::support::sentences::NOT_FROM_THERE;
use crate::support::{Kind, Reply, SECRET, Setup, Site, Visitor, for_each_store, secret};

/// What a handler does before or after it makes the token of its page.
fn act(session: &mut Session, what: &str) {
    match what {
        "nothing" => {}
        "set" => session["set"] = true.into(),
        "login" => session.login("joe"),
        "renew" => session.renew(),
        "purge" => session.purge(),
        other => panic!("no such thing: {other}"),
    }
}

/// A page with a form: `/form/BEFORE/AFTER`.
#[session]
async fn form(path: Path<(String, String)>) -> Html {
    let (before, after) = path.into_inner();
    act(session, &before);
    let token = session.csrf_token();
    act(session, &after);
    Html::new(token)
}

#[derive(serde::Deserialize)]
struct Transfer {
    amount: u64,
}

#[session(csrf)]
async fn transfer(form: Form<Transfer>) -> bsession::Result<String> {
    let amount = form.amount;
    let sum = session.update("sum", move |sum: u64| sum + amount)?;
    Ok(sum.to_string())
}

/// The same for a button that sends nothing but its token, which no extractor reads.
#[session(csrf)]
async fn press(query: Query<Vec<(String, String)>>) -> &'static str {
    for (_, what) in query.iter() {
        act(session, what);
    }
    "pressed"
}

/// Its form may not be there.
#[session(csrf)]
async fn sign(
    #[cfg(not(any()))] form: Form<Transfer>,
    _query: Query<Vec<(String, String)>>,
) -> String {
    form.amount.to_string()
}

#[session(purge)]
async fn logout() -> &'static str {
    session["last"] = "words".into();
    "out"
}

/// A page of a login while the session that was there ends.
#[session]
async fn form_too_late(sessions: Sessions) -> bsession::Result<Html> {
    sessions.revoke_user("ann", None).await?;
    session.login("joe");
    Ok(Html::new(session.csrf_token()))
}

/// The same in two steps, of which the first comes too late.
async fn form_later(
    request: HttpRequest,
    sessions: Sessions,
    mut connection: Connection,
) -> bsession::Result<impl Responder> {
    sessions.revoke_user("ann", None).await?;
    connection.session()["lost"] = true.into();
    let token = connection.session().csrf_token();
    drop(connection.respond(&request, "late").await);
    let mut connection = connect(&request).await?;
    connection.session().login("joe");
    Ok(connection.respond(&request, Html::new(token)).await)
}

async fn form_under_hooks(mut connection: Connection) -> String {
    connection.session().csrf_token()
}

/// The handler saves first, and what is around it comes after.
#[session]
async fn form_under_both(mut connection: Connection) -> String {
    connection.session()["late"] = true.into();
    session.csrf_token()
}

#[session]
async fn failing() -> HttpResponse {
    session["lost"] = true.into();
    HttpResponse::InternalServerError().body(session.csrf_token())
}

/// A page whose token is put into it when its handler has saved, and that may do more then.
async fn framed(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
    let mut response = next.call(request).await?;
    let mut connection = connect(response.request()).await?;
    if response.request().query_string() == "renew" {
        connection.session().renew();
    }
    let token = connection.session().csrf_token();
    drop(connection);
    let value = token.parse().expect("a header's value");
    response.headers_mut().insert(X_TOKEN, value);
    Ok(response)
}

const X_TOKEN: HeaderName = HeaderName::from_static("x-token");

fn routes(config: &mut ServiceConfig) {
    config
        .route("/form/{before}/{after}", web::get().to(form))
        .route("/form-too-late", web::get().to(form_too_late))
        .route("/form-later", web::get().to(form_later))
        .route("/transfer", web::post().to(transfer))
        .route("/press", web::post().to(press))
        .route("/sign", web::post().to(sign))
        .route("/socket", web::get().to(press))
        .route("/logout-by-link", web::route().to(logout))
        .route("/failing", web::get().to(failing))
        .service(
            web::scope("/framed")
                .wrap(from_fn(framed))
                .wrap(Hooks)
                .route("/form/{before}/{after}", web::get().to(form)),
        )
        .service(
            web::scope("/hooks")
                .wrap(Hooks)
                .route("/form", web::get().to(form_under_hooks))
                .route("/both", web::get().to(form_under_both)),
        );
}

/// Sends a form from a browser that tells nothing.
fn pay(visitor: &Visitor, token: &str) -> Reply {
    visitor.send("/transfer", &[], &[("amount", "5"), ("csrf_token", token)])
}

fn press_with(visitor: &Visitor, token: &str) -> u16 {
    visitor.send("/press", &[], &[("csrf_token", token)]).status
}

fn token(visitor: &Visitor) -> String {
    visitor.get("/form/nothing/nothing").body
}

for_each_store! {
    fn a_token_makes_no_record_for_who_has_no_session(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = site.visitor();
        let reply = visitor.get("/form/nothing/nothing");
        let [cookie] = reply.set_cookies()[..] else { panic!("one cookie: {reply:?}") };
        assert!(!cookie.contains("Max-Age"), "{cookie}");
        assert!(cookie.contains("HttpOnly"), "{cookie}");
        assert_eq!(reply.header("cache-control"), ["no-store"]);
        assert_eq!(press_with(&visitor, &reply.body), 200);
        // The next page, in another tab, sends none, and leaves the first one's token as good as its own.
        let second = visitor.get("/form/nothing/nothing");
        assert!(second.set_cookies().is_empty(), "{second:?}");
        assert_ne!(second.body, reply.body);
        for token in [&reply.body, &second.body] {
            assert_eq!(press_with(&visitor, token), 200);
        }
        assert_eq!(visitor.session()["new"], true);
        assert_eq!(site.sessions.stats().creates, 0);
    }

    fn the_id_of_a_token_is_never_adopted(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = site.visitor();
        let page = token(&visitor);
        let planted = visitor.token().expect("a cookie");
        assert_eq!(pay(&visitor, &page).body, "5");
        assert_ne!(visitor.token().expect("a cookie"), planted);
        assert_eq!(visitor.session()["data"]["sum"], 5);
        assert_eq!(site.with_token("GET", "/all", &planted).json()["new"], true);
    }

    /// Most visitors of a page with a form have nothing else. No event calls their cookie unknown, and the store is not asked.
    fn a_cookie_for_tokens_alone_costs_no_access_to_the_store(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = site.visitor();
        let page = token(&visitor);
        let cookie = visitor.token();
        for _ in 0..2 {
            assert_eq!(visitor.session()["new"], true);
            token(&visitor);
        }
        assert_eq!(visitor.token(), cookie, "it is kept");
        assert_eq!(site.sessions.stats().loads, 0);
        assert_eq!(pay(&visitor, &page).body, "5");
        assert_eq!(visitor.session()["data"]["sum"], 5);
        assert_eq!(site.sessions.stats().loads, 1);
    }

    /// Also where the page itself brings a new id, before the token is made or after it.
    fn a_token_fits_what_its_page_leaves(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let acts = ["nothing", "set", "login", "renew", "purge"];
        let begins: [fn(&Visitor); 3] = [
            |_| {},
            |visitor| drop(token(visitor)),
            |visitor| drop(visitor.post("/login/ann")),
        ];
        for (number, begin) in begins.iter().enumerate() {
            for before in acts {
                for after in acts {
                    let visitor = site.visitor();
                    begin(&visitor);
                    let page = visitor.get(&format!("/form/{before}/{after}"));
                    let case = format!("{number} {before} {after}");
                    assert!(page.set_cookies().len() <= 1, "{case}: {page:?}");
                    let held = visitor.session();
                    assert_eq!(pay(&visitor, &page.body).status, 200, "{case}");
                    assert_eq!(visitor.session()["user"], held["user"], "{case}");
                }
            }
        }
    }

    fn a_token_fits_the_session_that_a_login_begins_where_the_old_one_ended(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        for form in ["/form-too-late", "/form-later"] {
            let visitor = site.visitor();
            visitor.post("/login/ann");
            let page = visitor.get(form);
            assert_eq!(visitor.session()["user"], "joe");
            assert_eq!(press_with(&visitor, &page.body), 200, "{form}");
        }
    }

    /// A logout's page may have a form, for the next login: the old cookie goes as ever.
    fn a_logout_may_leave_a_form(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = site.visitor();
        visitor.post("/login/joe");
        let old = visitor.token().expect("a cookie");
        let page = visitor.get("/form/purge/nothing");
        let [cookie] = page.set_cookies()[..] else { panic!("one cookie: {page:?}") };
        assert!(!cookie.contains(&old) && !cookie.contains("Max-Age"), "{cookie}");
        assert_eq!(site.with_token("GET", "/all", &old).json()["user"], serde_json::Value::Null);
        assert_eq!(visitor.session()["new"], true);
        assert_eq!(press_with(&visitor, &page.body), 200);
        // Without a form the cookie is removed.
        assert!(visitor.post("/logout").removes_cookie());
    }

    fn only_the_visitors_own_token_counts(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let (joe, eve, nobody) = (site.visitor(), site.visitor(), site.visitor());
        joe.post("/login/joe");
        eve.post("/login/eve");
        let (of_joe, of_eve, of_nobody) = (token(&joe), token(&eve), token(&nobody));
        for wrong in [&*of_eve, &of_nobody, "", "csrf_token", &joe.token().expect("a cookie")] {
            let refused = pay(&joe, wrong);
            assert_eq!((refused.status, &*refused.body), (403, NOT_FROM_THERE), "{wrong}");
            assert!(refused.set_cookies().is_empty());
            assert_eq!(refused.header("vary"), ["Cookie"]);
        }
        assert_eq!(joe.send("/transfer", &[], &[("amount", "5")]).status, 403);
        assert_eq!(joe.session()["data"], serde_json::json!({}));
        assert_eq!(site.sessions.stats().cross_site, 6);
        // Who shows no cookie has no token, whatever is sent.
        assert_eq!(press_with(&site.visitor(), &of_nobody), 403);
        // Nor has one whose cookie somebody else planted beside the session's.
        let cookies = [joe.token(), nobody.token()].map(|token| format!("bsession={}", token.expect("a cookie")));
        for cookies in [[&*cookies[0], &*cookies[1]], [&*cookies[1], &*cookies[0]]] {
            let cookies = cookies.join("; ");
            let press = |token: &str| site.raw(format!(
                "POST /press HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\nCookie: {cookies}\r\nX-CSRF-Token: {token}\r\n\r\n"
            ).as_bytes()).status;
            assert_eq!((press(&of_nobody), press(&of_joe)), (403, 200));
        }
        assert_eq!(pay(&joe, &of_joe).body, "5");
    }

    /// The forms in other tabs: their token is of the old id. Browsers of today do not need it.
    fn a_new_id_ends_the_tokens_of_the_old_one(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = site.visitor();
        visitor.post("/set/cart/full");
        let other_tab = token(&visitor);
        visitor.post("/login/joe");
        assert_eq!(pay(&visitor, &other_tab).status, 403);
        assert_eq!(pay(&visitor, &token(&visitor)).body, "5");
        let form = [("amount", "5"), ("csrf_token", &*other_tab)];
        let origin = format!("http://{}", site.address);
        assert_eq!(visitor.send("/transfer", &[("origin", &origin)], &form).body, "10");
        assert_eq!(visitor.send("/transfer", &[("sec-fetch-site", "same-origin")], &form).body, "15");
        assert_eq!(visitor.send("/transfer", &[("sec-fetch-site", "cross-site")], &form).status, 403);
        let (host, port) = ("localhost", site.address.port() + 1);
        assert_eq!(visitor.send("/transfer", &[("origin", &format!("http://{host}:{port}"))], &form).status, 403);
        assert_eq!(visitor.session()["data"]["sum"], 15);
    }

    fn a_garbage_cookie_is_replaced_for_a_token(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let page = site.with_token("GET", "/form/nothing/nothing", "garbage");
        let [cookie] = page.set_cookies()[..] else { panic!("one cookie: {page:?}") };
        let cookie = cookie.split(';').next().expect("a pair");
        let press = |cookies: &str| site.raw(format!(
            "POST /press HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\nCookie: {cookies}\r\nX-CSRF-Token: {}\r\n\r\n", page.body
        ).as_bytes()).status;
        assert_eq!(press(cookie), 200);
        assert_eq!(press(&format!("bsession=garbage; {cookie}")), 200);
        assert_eq!(press("bsession=garbage"), 403);
    }

    /// A page's parallel request must not overwrite the new cookie. Its token is good for what the
    /// old id is good for: to log in.
    fn a_retired_id_gets_a_token_and_no_cookie(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = site.visitor();
        visitor.post("/login/joe");
        let old = visitor.token().expect("a cookie");
        visitor.post("/renew");
        let page = site.with_token("GET", "/form/nothing/nothing", &old);
        assert!(page.set_cookies().is_empty(), "{page:?}");
        let press = |query: &str, token: &str| site.raw(format!(
            "POST /press?{query} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\nCookie: bsession={token}\r\nX-CSRF-Token: {}\r\n\r\n", page.body
        ).as_bytes());
        let late = press("a=set", &old);
        assert_eq!((late.status, late.set_cookies().len()), (200, 0));
        let login = press("a=login", &old);
        assert_eq!((login.status, login.set_cookies().len()), (200, 1));
        // It is none for the session that goes on.
        assert_eq!(press("a=set", &visitor.token().expect("a cookie")).status, 403);
    }

    fn a_token_outlives_a_rotation_of_secrets(setup) {
        let old = Site::open_with(setup.sessions(), routes);
        let (visitor, joe) = (old.visitor(), old.visitor());
        joe.post("/login/joe");
        let pages = [token(&visitor), token(&joe)];
        let rotated = setup.builder_with(&secret(1)).previous_secret(SECRET).build().expect("a service");
        let new = Site::open_with(rotated, routes);
        assert_eq!(press_with(&visitor.at(new.address), &pages[0]), 200);
        if let crate::support::Kind::File = setup.kind {
            assert_eq!(pay(&joe.at(new.address), &pages[1]).body, "5");
        }
        let other = Site::open_with(setup.builder_with(&secret(2)).build().expect("a service"), routes);
        assert_eq!(press_with(&visitor.at(other.address), &pages[0]), 403);
        let realm = Site::open_with(setup.builder().realm("other").build().expect("a service"), routes);
        assert_eq!(press_with(&visitor.at(realm.address), &pages[0]), 403);
    }

    fn a_form_comes_in_chunks_and_nobody_else_reads_it(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = site.visitor();
        let page = token(&visitor);
        let cookie = visitor.token().expect("a cookie");
        let (head, tail) = page.split_at(40);
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        for (path, last, expected) in [("/transfer", "&amount=5", 200), ("/press", "&a=1", 200), ("/press", "A", 403)] {
            let chunks = [&*format!("csrf_token={head}"), tail, last, ""].map(chunk).concat();
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\nCookie: bsession={cookie}\r\n\r\n{chunks}"
            );
            assert_eq!(site.raw(request.as_bytes()).status, expected, "{path} {last}");
        }
    }

    fn a_link_on_another_site_logs_nobody_out(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = site.visitor();
        visitor.post("/login/joe");
        let cookie = visitor.token().expect("a cookie");
        let ask = |method: &str, header: &str| site.raw(format!(
            "{method} /logout-by-link HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\nCookie: bsession={cookie}\r\n{header}\r\n\r\n"
        ).as_bytes());
        for method in ["GET", "HEAD"] {
            let refused = ask(method, "Sec-Fetch-Site: cross-site");
            assert_eq!((refused.status, refused.set_cookies().len()), (403, 0), "{method}");
            assert_eq!(visitor.session()["user"], "joe", "{method}");
        }
        assert_eq!(site.sessions.stats().cross_site, 2);
        for header in ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: same-site", "Sec-Fetch-Site: none", "X-Nothing: told"] {
            assert!(ask("GET", header).removes_cookie(), "{header}");
        }
        assert_eq!(visitor.session()["user"], serde_json::Value::Null);
    }

    fn a_page_that_failed_may_carry_a_token(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        let visitor = site.visitor();
        let page = visitor.get("/failing");
        assert_eq!((page.status, page.set_cookies().len()), (500, 1));
        assert_eq!(press_with(&visitor, &page.body), 200);
        assert_eq!(site.sessions.stats().creates, 0);
    }

    /// Both tokens of the page fit: the one from before its save, and the one from after it.
    fn a_token_may_be_made_when_the_session_is_saved(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        for what in ["nothing", "set", "login", "renew", "purge"] {
            for begin in [None, Some("/login/ann")] {
                let visitor = site.visitor();
                begin.map(|path| visitor.post(path));
                let page = visitor.get(&format!("/framed/form/nothing/{what}"));
                assert!(page.set_cookies().len() <= 1, "{what}: {page:?}");
                let held = visitor.session();
                for token in [&*page.body, page.header("x-token")[0]] {
                    assert_eq!(press_with(&visitor, token), 200, "{what} {begin:?}");
                }
                assert_eq!(visitor.session(), held, "{what} {begin:?}");
                if what == "set" {
                    assert_eq!(held["data"]["set"], true, "{begin:?}");
                }
            }
        }
    }

    /// The id that the first of them takes is not given to the second.
    fn a_page_may_bring_a_new_id_twice(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        for (before, then) in [("set", "login"), ("login", "renew")] {
            let visitor = site.visitor();
            visitor.get(&format!("/form/{before}/nothing"));
            let page = visitor.get(&format!("/framed/form/nothing/{then}?renew"));
            assert_eq!((page.status, page.set_cookies().len()), (200, 1), "{then}");
            assert_eq!(visitor.session()["user"], "joe", "{then}");
            assert_eq!(press_with(&visitor, page.header("x-token")[0]), 200, "{then}");
        }
        assert_eq!(site.sessions.stats().renewals, 4);
    }

    fn under_hooks_one_cookie_goes_with_a_token(setup) {
        let site = Site::open_with(setup.sessions(), routes);
        for (path, creates) in [("/hooks/form", 0), ("/hooks/both", 1)] {
            let visitor = site.visitor();
            let page = visitor.get(path);
            assert_eq!(page.set_cookies().len(), 1, "{path}: {page:?}");
            assert_eq!(site.sessions.stats().creates, creates, "{path}");
            assert_eq!(press_with(&visitor, &page.body), 200, "{path}");
        }
    }
}

#[test]
fn a_form_that_may_not_be_there_shows_its_token() {
    let site = Site::open_with(Setup::new(Kind::Memory).sessions(), routes);
    let visitor = site.visitor();
    let token = token(&visitor);
    let sign = |token| visitor.send("/sign", &[], &[("csrf_token", token), ("amount", "5")]);
    assert_eq!(sign(&token).body, "5");
    assert_eq!(sign("none").status, 403);
}

/// Browsers let any page open one, with the cookies of this site.
#[test]
fn a_web_socket_is_opened_by_pages_of_the_service_alone() {
    let site = Site::open_with(Setup::new(Kind::Memory).sessions(), routes);
    let status = |lines: &str| {
        let request = format!(
            "GET /socket HTTP/1.1\r\nHost: h.example\r\nConnection: close\r\n{lines}\r\n\r\n"
        );
        site.raw(request.as_bytes()).status
    };
    for upgrade in ["Upgrade: websocket", "Upgrade: other/1, WebSocket"] {
        let status = |from: &str| status(&format!("{upgrade}\r\n{from}"));
        assert_eq!(status("Origin: https://h.example"), 200);
        assert_eq!(status("Sec-Fetch-Site: same-origin"), 200);
        assert_eq!(status("Origin: https://evil.example"), 403);
        assert_eq!(status("Origin: https://sibling.h.example"), 403);
        assert_eq!(status("Sec-Fetch-Site: same-site"), 403);
        assert_eq!(status("Origin: null"), 403);
    }
    assert_eq!(status("Upgrade: h2c\r\nOrigin: https://evil.example"), 200);
    assert_eq!(status("Origin: https://evil.example"), 200, "a page");
}

#[test]
fn a_session_that_belongs_to_no_request_has_no_token() {
    assert_eq!(Session::default().csrf_token(), "");
}
