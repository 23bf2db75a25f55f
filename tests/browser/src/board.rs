//! A notice board whose pages are put together by htmx or Turbo, in a server in this process.

use std::path::Path;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Data, Form, Html, Query, Redirect, ServiceConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Responder};
use bsession::{Gate, LocalPath, Secret, Sessions, session};

pub(crate) struct Board {
    pub(crate) sessions: Sessions,
    port: u16,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Board {
    pub(crate) fn open(packages: &'static Path) -> Self {
        let secret = Secret::random().expect("a secret");
        let sessions = Sessions::builder(secret).build().expect("a service");
        let (started, starts) = channel();
        let service = sessions.clone();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(service.clone())
                        .app_data(Data::new(packages))
                        .configure(routes)
                });
                let server = server.workers(1).disable_signals();
                let server = server.bind(("127.0.0.1", 0)).expect("a free port");
                let port = server.addrs()[0].port();
                let server = server.run();
                started.send((port, server.handle())).expect("a test");
                server.await.expect("the server runs");
            });
        });
        let (port, handle) = starts.recv().expect("the server starts");
        Self {
            sessions,
            port,
            handle,
            thread: Some(thread),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// The script that a page asks for.
async fn script(name: web::Path<String>, packages: Data<&'static Path>) -> HttpResponse {
    let file = match &**name {
        "htmx2" => "htmx2/dist/htmx.min.js",
        "htmx4" => "htmx4/dist/htmx.min.js",
        "turbo" => "@hotwired/turbo/dist/turbo.es2017-umd.js",
        other => panic!("no such script: {other}"),
    };
    let text = std::fs::read(packages.join(file)).expect("it was fetched");
    let javascript = "text/javascript";
    HttpResponse::Ok().content_type(javascript).body(text)
}

fn page(script: &str, text: &str) -> Html {
    Html::new(format!(
        r##"<!doctype html><html><head><title>Notice board</title><script src="/script/{script}"></script></head>
        <body><h1>{text}</h1>
            <button hx-get="/notices" hx-target="#notices">Show the notices</button>
            <form action="/notices" method="post" hx-post="/notices" hx-target="#notices">
                <button>Write a notice</button>
            </form>
            <p hx-boost="true"><a href="/members/{script}?by=link">For members</a></p>
            <turbo-frame id="notices"><a href="/framed">Show the frame</a></turbo-frame>
        </body></html>"##,
    ))
}

/// A page for everybody, with parts for members.
async fn front(script: web::Path<String>) -> impl Responder {
    page(&script, "For everybody")
}

#[session(require, redirect = "/login")]
async fn members(script: web::Path<String>, user: &str) -> impl Responder {
    page(&script, &format!("For {user}"))
}

async fn notices(request: HttpRequest) -> impl Responder {
    let text = format!("{} notices", request.method());
    Html::new(format!(r#"<turbo-frame id="notices">{text}</turbo-frame>"#))
}

#[derive(serde::Deserialize)]
struct Next {
    #[serde(default)]
    next: LocalPath,
}

fn login_page(next: &LocalPath, head: &str) -> Html {
    let next = next.as_str().replace('&', "&amp;");
    Html::new(format!(
        r#"<!doctype html><html><head><title>Log in</title>{head}</head><body>
        <form method="post" action="/login">
            <label for="name">Your name</label> <input id="name" name="name">
            <input type="hidden" name="next" value="{next}"><button>Log in</button>
        </form></body></html>"#
    ))
}

async fn login(query: Query<Next>) -> impl Responder {
    login_page(&query.next, "")
}

/// A login page that Turbo shows in place of the whole page, though a frame asked for it.
async fn framed_login(query: Query<Next>) -> impl Responder {
    let reload = r#"<meta name="turbo-visit-control" content="reload">"#;
    login_page(&query.next, reload)
}

#[derive(serde::Deserialize)]
struct Login {
    name: String,
    #[serde(default)]
    next: LocalPath,
}

#[session(csrf)]
async fn log_in(form: Form<Login>) -> impl Responder {
    let Login { name, next } = form.into_inner();
    session.login(name);
    Redirect::to(next).see_other()
}

fn routes(config: &mut ServiceConfig) {
    const MEMBERS: Gate = Gate::new().csrf().require();
    config
        .route("/script/{name}", web::get().to(script))
        .route("/front/{script}", web::get().to(front))
        .route("/members/{script}", web::get().to(members))
        .route("/login", web::get().to(login))
        .route("/login", web::post().to(log_in))
        .route("/framed-login", web::get().to(framed_login))
        .service(
            web::resource("/notices")
                .wrap(MEMBERS.redirect("/login"))
                .to(notices),
        )
        .service(
            web::resource("/framed")
                .wrap(MEMBERS.redirect("/framed-login"))
                .to(notices),
        );
}
