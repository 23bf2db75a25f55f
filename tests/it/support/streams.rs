//! Routes that stay open for as long as their session lives, and a client for them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use actix_web::web::{Bytes, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, get, post, rt};
use bsession::{Session, Watch, session};
use futures_util::stream::{self, StreamExt};

use super::gate::PATIENCE;

/// The longest time from an end elsewhere to the end of a stream: two seconds, and what a busy machine takes.
pub const NOTICED: Duration = Duration::from_secs(10);

/// A stream of events: one at the beginning, and one at the end of the session.
fn events(watch: Watch) -> HttpResponse {
    let event = |text: &'static str| Ok::<_, actix_web::Error>(Bytes::from_static(text.as_bytes()));
    let begun = stream::once(async move { event("data: begun\n\n") });
    let over = stream::once(async move {
        watch.ended().await;
        event("data: over\n\n")
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .streaming(begun.chain(over))
}

#[get("/live/events")]
#[session]
async fn events_of_session() -> HttpResponse {
    events(session.watch())
}

/// Does something to the session before or after it asks for the watch.
#[post("/live/events/{what}/{order}")]
#[session]
async fn events_after(path: Path<(String, String)>) -> HttpResponse {
    let (what, order) = path.into_inner();
    let act = |session: &mut Session| match &*what {
        "purge" => session.purge(),
        "renew" => session.renew(),
        "set" => session["set"] = 1.into(),
        user => session.login(user),
    };
    if order == "first" {
        act(session);
    }
    let watch = session.watch();
    if order == "last" {
        act(session);
    }
    events(watch)
}

#[get("/live/socket")]
#[session]
async fn socket(request: HttpRequest, body: Payload) -> actix_web::Result<HttpResponse> {
    let (response, mut socket, _messages) = actix_ws::handle(&request, body)?;
    let watch = session.watch();
    rt::spawn(async move {
        let _ = socket.text("data: begun").await;
        watch.ended().await;
        let _ = socket.text("data: over").await;
        let _ = socket.close(None).await;
    });
    Ok(response)
}

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(events_of_session)
        .service(events_after)
        .service(socket);
}

/// A response that stays open.
pub struct Stream {
    wire: TcpStream,
    read: String,
}

impl Stream {
    /// Opens one, and waits for its first event.
    pub fn open(address: SocketAddr, method: &str, path: &str, token: Option<&str>) -> Self {
        let mut wire = TcpStream::connect(address).expect("the server listens");
        wire.set_read_timeout(Some(PATIENCE)).expect("an option");
        let cookie = token.map(|token| format!("Cookie: bsession={token}\r\n"));
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{}",
            cookie.unwrap_or_default()
        );
        if path == "/live/socket" {
            request += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        } else {
            request += "Content-Length: 0\r\n\r\n";
        }
        wire.write_all(request.as_bytes())
            .expect("the server reads");
        let mut stream = Self {
            wire,
            read: String::new(),
        };
        stream.read_to("data: begun");
        stream
    }

    fn read_to(&mut self, text: &str) {
        let mut bytes = [0; 1024];
        while !self.read.contains(text) {
            let count = self.wire.read(&mut bytes).expect("the server writes");
            assert_ne!(count, 0, "it ended before `{text}`: {}", self.read);
            self.read += &String::from_utf8_lossy(&bytes[..count]);
        }
    }

    /// The token that the response set.
    pub fn token(&self) -> Option<String> {
        let cookie = self.read.split("bsession=").nth(1)?;
        Some(cookie.split(';').next()?.to_owned())
    }

    /// True while nothing has come since the first event.
    pub fn is_open(&mut self) -> bool {
        self.wire.set_nonblocking(true).expect("an option");
        let mut bytes = [0; 1024];
        let read = self.wire.read(&mut bytes);
        self.wire.set_nonblocking(false).expect("an option");
        match read {
            Ok(count) => {
                self.read += &String::from_utf8_lossy(&bytes[..count]);
                count > 0 && !self.read.contains("data: over")
            }
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }

    /// Waits for the last event.
    pub fn await_end(mut self) {
        let begin = Instant::now();
        self.read_to("data: over");
        assert!(begin.elapsed() < NOTICED, "{:?}", begin.elapsed());
    }
}
