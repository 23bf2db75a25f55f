//! Pages that Chromium fetches, or even renders, before anybody has opened them.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use actix_web::dev::{ServerHandle, Service};
use actix_web::web::{Html, Path};
use actix_web::{App, HttpServer, Responder, get};
use bsession::{Mode, Secret, Sessions, session};

use crate::browser::{self, Browser, Driver};

#[get("/login")]
#[session]
async fn login() -> impl Responder {
    session.login("Ann");
    "logged in"
}

#[get("/plain")]
#[session]
async fn plain() -> impl Responder {
    format!("This is {}.", session.user().unwrap_or("nobody"))
}

/// A page that has the browser take the way out ahead of its visitor.
#[get("/eager/{action}")]
#[session]
async fn eager(action: Path<String>) -> impl Responder {
    Html::new(format!(
        r#"<!doctype html><title>Eager</title>
        <p>This is {}.</p><a href="/logout">Log out</a>
        <script type="speculationrules">{{"{action}":[{{"source":"list","urls":["/logout"]}}]}}</script>"#,
        session.user().unwrap_or("nobody"),
    ))
}

#[get("/logout")]
#[session(purge)]
async fn logout() -> impl Responder {
    "Good bye."
}

/// A request for the way out, as the server saw it.
#[derive(Clone, Debug)]
struct Seen {
    purpose: Option<String>,
    status: u16,
}

/// A site within this process.
struct Site {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    fn open() -> Self {
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let secret = Secret::random().expect("a secret");
        let sessions = Sessions::builder(secret).mode(Mode::Memory).build();
        let sessions = sessions.expect("a service");
        let (started, starts) = channel();
        let sees = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    let sees = Arc::clone(&sees);
                    App::new()
                        .app_data(sessions.clone())
                        .wrap_fn(move |request, service| {
                            let is_way_out = request.path() == "/logout";
                            let purpose = request.headers().get("sec-purpose");
                            let purpose = purpose.map(|it| format!("{it:?}"));
                            let sees = Arc::clone(&sees);
                            let response = service.call(request);
                            async move {
                                let response = response.await?;
                                if is_way_out {
                                    let status = response.status().as_u16();
                                    let mut seen =
                                        sees.lock().unwrap_or_else(PoisonError::into_inner);
                                    seen.push(Seen { purpose, status });
                                }
                                Ok(response)
                            }
                        })
                        .service(login)
                        .service(plain)
                        .service(eager)
                        .service(logout)
                })
                .workers(1)
                .disable_signals()
                .bind(("127.0.0.1", 0))
                .expect("a free port");
                let port = server.addrs()[0].port();
                let server = server.run();
                started
                    .send((port, server.handle()))
                    .expect("the test waits");
                server.await.expect("the server runs");
            });
        });
        let (port, handle) = starts.recv().expect("the server starts");
        Self {
            port,
            seen,
            handle,
            thread: Some(thread),
        }
    }

    async fn show(&self, browser: &Browser, path: &str) {
        browser
            .open(&format!("http://127.0.0.1:{}{path}", self.port))
            .await;
    }

    /// The requests for the way out since this was last asked for.
    fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn has_seen(&self) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        !seen.is_empty()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Logs in, opens a page that has the way out fetched ahead, and then takes it.
async fn leaves_by_a_click_alone(action: &str, purpose: &str) {
    let (site, driver) = (Site::open(), Driver::start());
    let ann = driver.browser().await;
    site.show(&ann, "/login").await;
    site.show(&ann, &format!("/eager/{action}")).await;
    ann.until("a request ahead", async || site.has_seen()).await;
    let seen = site.take_seen();
    let [ahead] = &seen[..] else {
        panic!("one request ahead: {seen:?}")
    };
    assert_eq!(ahead.status, 503, "{ahead:?}");
    assert!(
        ahead
            .purpose
            .as_ref()
            .is_some_and(|it| it.contains(purpose)),
        "{ahead:?}"
    );
    site.show(&ann, "/plain").await;
    ann.shows("This is Ann.").await;

    site.show(&ann, &format!("/eager/{action}")).await;
    ann.until("a request ahead", async || site.has_seen()).await;
    site.take_seen();
    ann.follow("Log out").await;
    ann.shows("Good bye.").await;
    let seen = site.take_seen();
    let [click] = &seen[..] else {
        panic!("one request for the click: {seen:?}")
    };
    assert_eq!((click.status, &click.purpose), (200, &None), "{click:?}");
    site.show(&ann, "/plain").await;
    ann.shows("This is nobody.").await;
}

fn story(tell: impl Future<Output = ()>) {
    if !browser::is_there() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(tell);
}

#[test]
fn a_logout_that_is_prefetched_waits_for_the_click() {
    story(leaves_by_a_click_alone("prefetch", "prefetch"));
}

#[test]
fn a_logout_that_is_prerendered_waits_for_the_click() {
    story(leaves_by_a_click_alone("prerender", "prerender"));
}
