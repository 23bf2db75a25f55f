//! Watches: a socket or a stream hears of the end of its session, and of nothing else.

use std::time::Duration;

use actix_web::test::TestRequest;
use actix_web::{HttpRequest, rt};
use bsession::testing::{Fault, days};
use bsession::{AtLimit, Handle, Secure, Sessions, Watch, connect};

use crate::support::{
    Faults, Kind, PATIENCE, SECRET, Setup, Site, Stream, Visitor, for_each_store,
};

/// A visitor who is logged in.
fn joe(site: &Site) -> Visitor {
    let visitor = site.visitor();
    visitor.post("/login/joe");
    visitor
}

fn events(site: &Site, visitor: &Visitor) -> Stream {
    Stream::open(
        site.address,
        "GET",
        "/live/events",
        visitor.token().as_deref(),
    )
}

fn socket(site: &Site, visitor: &Visitor) -> Stream {
    Stream::open(
        site.address,
        "GET",
        "/live/socket",
        visitor.token().as_deref(),
    )
}

/// The site of the streams, and the site where sessions end: another host, where the store has several.
fn sites(setup: &Setup) -> [Site; 2] {
    match setup.kind {
        Kind::Memory => {
            let sessions = setup.sessions();
            [Site::open(sessions.clone()), Site::open(sessions)]
        }
        Kind::File | Kind::Redis => [setup.site(), setup.site()],
    }
}

for_each_store! {
    fn a_logout_ends_sockets_and_streams(setup) {
        let site = setup.site();
        let visitor = joe(&site);
        let streams = [events(&site, &visitor), events(&site, &visitor), socket(&site, &visitor)];
        let mut other = events(&site, &joe(&site));
        assert!(visitor.post("/logout").removes_cookie());
        streams.into_iter().for_each(Stream::await_end);
        assert!(other.is_open(), "another session of the same user");
    }

    fn an_end_on_another_host_ends_them_within_two_seconds(setup) {
        let [site, elsewhere] = sites(setup);
        let mut streams = Vec::new();
        for what in ["/logout", "/purge/nothing", "/purge/after", "/login/eve", "revoke", "revoke_user"] {
            let visitor = site.visitor();
            let user = format!("joe-{}", streams.len());
            visitor.post(&format!("/login/{user}"));
            streams.extend([events(&site, &visitor), socket(&site, &visitor)]);
            let handle = visitor.session()["handle"].as_str().map(str::parse::<Handle>);
            let sessions = &elsewhere.sessions;
            rt::System::new().block_on(async {
                match what {
                    "revoke" => {
                        let handle = handle.expect("a session").expect("a handle");
                        assert!(sessions.revoke(&user, handle).await.expect("it ends"));
                    }
                    "revoke_user" => {
                        let ended = sessions.revoke_user(&user, None).await;
                        assert_eq!(ended.expect("it ends"), 1);
                    }
                    path => assert_eq!(visitor.at(elsewhere.address).post(path).status, 200),
                }
            });
        }
        streams.into_iter().for_each(Stream::await_end);
    }

    fn they_end_when_the_session_expires(setup) {
        let site = setup.site();
        let streams = [events(&site, &joe(&site)), socket(&site, &joe(&site))];
        setup.clock.advance(days(31));
        streams.into_iter().for_each(Stream::await_end);
    }

    fn a_watch_is_no_visit(setup) {
        let site = setup.site();
        let visitor = joe(&site);
        let stream = events(&site, &visitor);
        let before = site.sessions.stats();
        // Every day a look, and on the last one the end.
        for _ in 0..31 {
            setup.clock.advance(days(1));
        }
        stream.await_end();
        let after = site.sessions.stats();
        assert_eq!((before.touches, before.commits), (after.touches, after.commits));
    }

    fn renewals_and_a_login_of_nobody_are_followed(setup) {
        let [site, elsewhere] = sites(setup);
        let visitor = site.visitor();
        visitor.post("/set/a/b");
        let mut streams = [events(&site, &visitor), socket(&site, &visitor)];
        let tab = visitor.at(elsewhere.address);
        let renewals = ["/login/joe", "/login/joe", "/renew", "/set/c/d"];
        // The last round is for the renewals before it, which may be followed only after its witness.
        for paths in [&["/renew"][..], &renewals, &[]] {
            paths.iter().for_each(|path| assert_eq!(tab.post(path).status, 200));
            // The store is asked for the witness and for the others in one question.
            let other = joe(&site);
            let witness = events(&site, &other);
            assert!(other.at(elsewhere.address).post("/logout").removes_cookie());
            witness.await_end();
            assert!(streams.iter_mut().all(Stream::is_open), "{paths:?}");
        }
        assert_eq!(tab.post("/login/eve").status, 200);
        streams.into_iter().for_each(Stream::await_end);
    }

    fn the_session_that_the_response_leaves_is_watched(setup) {
        let [site, elsewhere] = sites(setup);
        let mut streams = Vec::new();
        for (what, order) in [("joe", "first"), ("joe", "last"), ("set", "first"), ("set", "last")] {
            let path = format!("/live/events/{what}/{order}");
            let (eve, joe) = (site.visitor(), joe(&site));
            eve.post("/login/eve");
            for token in [None, eve.token(), joe.token()] {
                let stream = Stream::open(site.address, "POST", &path, token.as_deref());
                streams.push((stream.token().or(token).expect("a session"), stream));
            }
        }
        // The store is asked for the witness and for the others in one question.
        let other = joe(&site);
        let witness = events(&site, &other);
        assert!(other.at(elsewhere.address).post("/logout").removes_cookie());
        witness.await_end();
        for (token, stream) in &mut streams {
            assert!(stream.is_open());
            assert!(elsewhere.with_token("POST", "/logout", token).removes_cookie());
        }
        streams.into_iter().for_each(|(_, stream)| stream.await_end());
    }

    fn without_a_session_it_is_over_at_once(setup) {
        let site = setup.site();
        events(&site, &site.visitor()).await_end();
        socket(&site, &site.visitor()).await_end();
        for order in ["first", "last"] {
            let path = format!("/live/events/purge/{order}");
            Stream::open(site.address, "POST", &path, joe(&site).token().as_deref()).await_end();
        }
        let gone = joe(&site);
        let token = gone.token();
        gone.post("/logout");
        Stream::open(site.address, "GET", "/live/events", token.as_deref()).await_end();
    }

    fn they_end_when_the_service_closes_and_it_goes_on_serving(setup) {
        let site = setup.site();
        let visitor = joe(&site);
        let streams = [events(&site, &visitor), socket(&site, &visitor)];
        let closed = rt::System::new().block_on(site.sessions.close(PATIENCE));
        assert!(closed);
        streams.into_iter().for_each(Stream::await_end);
        events(&site, &visitor).await_end();
        assert_eq!(visitor.post("/add/n").body, "1");
    }
}

/// A service on a store that fails when it is told to, the request of a session in it, and its watch.
fn watched(faults: impl FnOnce(&Faults)) -> (Sessions, Faults, HttpRequest) {
    let (mode, says) = Faults::mode();
    let builder = Sessions::builder(SECRET).mode(mode).secure(Secure::Never);
    let sessions = builder.build().expect("a service");
    let cookie = rt::System::new().block_on(sessions.cookie_for(|session| session.login("joe")));
    faults(&says);
    let request = TestRequest::default()
        .app_data(sessions.clone())
        .cookie(cookie.expect("a session"))
        .to_http_request();
    (sessions, says, request)
}

/// The watch of a request that is over.
async fn watch_of(request: HttpRequest) -> Watch {
    let mut connection = connect(&request).await.expect("a session");
    let watch = connection.session().watch();
    drop((connection, request));
    watch
}

async fn is_ended(watch: &Watch) -> bool {
    let wait = tokio::time::timeout(Duration::ZERO, watch.ended());
    wait.await.is_ok()
}

#[test]
fn an_error_of_the_store_is_no_end() {
    let (sessions, faults, request) = watched(|_| {});
    rt::System::new().block_on(async {
        let watch = watch_of(request).await;
        assert!(watch.is_live().await.expect("the store works"));
        for fault in [Fault::Fails, Fault::LosesReply] {
            faults.always(fault);
            assert!(watch.is_live().await.is_err());
            assert!(!is_ended(&watch).await);
        }
        faults.always(Fault::None);
        assert!(watch.is_live().await.expect("the store works again"));
        sessions.revoke_user("joe", None).await.expect("it ends");
        assert!(!watch.is_live().await.expect("over"));
        assert!(is_ended(&watch).await);
    });
}

/// In the handler itself, before the response is saved.
#[test]
fn a_handler_may_ask_its_own_watch() {
    let (sessions, _, request) = watched(|_| {});
    rt::System::new().block_on(async {
        let mut connection = connect(&request).await.expect("a session");
        let watch = connection.session().watch();
        assert!(watch.is_live().await.expect("the store works"));
        assert!(!is_ended(&watch).await);
        connection.session().login("eve");
        let saved = connection.respond(&request, "").await.into_response();
        assert_eq!(saved.status(), 200);
        assert!(
            watch.is_live().await.expect("the store works"),
            "it is eve's"
        );
        sessions.revoke_user("joe", None).await.expect("none");
        assert!(!is_ended(&watch).await);
        sessions.revoke_user("eve", None).await.expect("it ends");
        assert!(is_ended(&watch).await);

        let stranger = TestRequest::default().app_data(sessions.clone());
        let stranger = stranger.to_http_request();
        let mut connection = connect(&stranger).await.expect("a stranger");
        let watch = connection.session().watch();
        assert!(!watch.is_live().await.expect("nothing to ask"));
        assert!(
            !is_ended(&watch).await,
            "the response may still begin a session"
        );
        connection.session().login("joe");
        connection.session().save().await.expect("saved");
        assert!(watch.is_live().await.expect("the store works"));
        drop((connection, stranger));
        assert!(!is_ended(&watch).await);
        sessions.revoke_user("joe", None).await.expect("it ends");
        assert!(is_ended(&watch).await);
    });
}

#[test]
fn a_watch_goes_to_another_thread_and_does_not_keep_its_service() {
    let (sessions, _, request) = watched(|_| {});
    let watch = rt::System::new().block_on(watch_of(request));
    let thread = std::thread::spawn(move || rt::System::new().block_on(watch.ended()));
    drop(sessions);
    thread.join().expect("it is over with its service");
}

/// A save whose client has hung up is waited for.
#[test]
fn close_waits_for_purges_that_are_under_way() {
    let (sessions, faults, request) = watched(|_| {});
    rt::System::new().block_on(async {
        let mut connection = connect(&request).await.expect("a session");
        connection.session().purge();
        faults.say(|operation| match operation {
            "end" => Fault::Waits,
            _ => Fault::None,
        });
        drop((connection, request));
        assert_eq!(sessions.stats().removals, 0);
        assert!(sessions.close(PATIENCE).await);
        assert_eq!(sessions.stats().removals, 1);
    });
}

#[test]
fn close_does_not_wait_forever() {
    let (mode, faults) = Faults::mode();
    let builder = Sessions::builder(SECRET).mode(mode).store_timeout(PATIENCE);
    let sessions = builder.build().expect("a service");
    rt::System::new().block_on(async {
        let cookie = sessions.cookie_for(|session| session.login("joe")).await;
        let request = TestRequest::default()
            .app_data(sessions.clone())
            .cookie(cookie.expect("a session"))
            .to_http_request();
        let mut connection = connect(&request).await.expect("a session");
        connection.session().purge();
        faults.always(Fault::Hangs);
        drop((connection, request));
        assert!(!sessions.close(Duration::from_millis(1)).await);
    });
}

/// A task that the handler has begun asks while the response is being saved.
#[test]
fn a_session_that_is_being_saved_is_live() {
    let (mode, faults) = Faults::mode();
    let builder = Sessions::builder(SECRET).mode(mode).secure(Secure::Never);
    let sessions = builder.build().expect("a service");
    rt::System::new().block_on(async {
        for (what, lives) in [("set", true), ("renew", true), ("purge", false)] {
            let cookie = sessions.cookie_for(|session| session.login("joe")).await;
            let request = TestRequest::default()
                .app_data(sessions.clone())
                .cookie(cookie.expect("a session"))
                .to_http_request();
            let mut connection = connect(&request).await.expect("it connects");
            let session = connection.session();
            match what {
                "set" => session["a"] = 1.into(),
                "renew" => session.renew(),
                _ => session.purge(),
            }
            let watch = session.watch();
            faults.say(|operation| match operation {
                "commit" | "renew" | "end" => Fault::Waits,
                _ => Fault::None,
            });
            let (saved, is_live) = tokio::join!(connection.respond(&request, ""), watch.is_live());
            assert_eq!(saved.into_response().status(), 200);
            assert_eq!(is_live.expect("an answer"), lives, "{what}");
        }
    });
}

/// For a moment the session was of the user whose login is taken back.
#[test]
fn a_login_that_is_taken_back_ends_no_watch() {
    let (mode, faults) = Faults::mode();
    let sessions = Sessions::builder(SECRET).mode(mode).secure(Secure::Never);
    let sessions = sessions.max_per_user(1, AtLimit::RefuseNewest);
    let site = Site::open(sessions.build().expect("a service"));
    for before in ["/set/a/b", "/login/ann"] {
        let visitor = site.visitor();
        visitor.post(before);
        let mut stream = events(&site, &visitor);
        let mut asked = 0;
        faults.say(move |operation| {
            asked += usize::from(operation == "list");
            match operation == "list" && asked == 2 {
                true => Fault::Fails,
                false => Fault::None,
            }
        });
        assert_eq!(visitor.post("/login/joe").status, 503);
        faults.always(Fault::None);
        // A later watch of the same session is still told of its end.
        let mut later = events(&site, &visitor);
        assert!(stream.is_open() && later.is_open(), "{before}");
        visitor.post("/logout");
        [stream, later].into_iter().for_each(Stream::await_end);
    }
}
