//! A server on a free port of this machine, stopped by its own handle.

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer};
use bsession::Sessions;

use super::gate::PATIENCE;
use super::{Extra, Gate, Visitor, configure, wire};

pub struct Site {
    pub address: SocketAddr,
    pub sessions: Sessions,
    pub gate: Gate,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    pub fn open(sessions: Sessions) -> Self {
        Self::open_with(sessions, |_| {})
    }

    pub fn open_with(sessions: Sessions, extra: Extra) -> Self {
        let gate = Gate::default();
        let (started, starts) = channel();
        let (service, at_gate) = (sessions.clone(), gate.clone());
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(service.clone())
                        .app_data(Data::new(at_gate.clone()))
                        .configure(configure)
                        .configure(|config: &mut ServiceConfig| extra(config))
                })
                .workers(2)
                .disable_signals()
                .bind(("127.0.0.1", 0))
                .expect("a free port");
                let address = server.addrs()[0];
                let server = server.run();
                started
                    .send((address, server.handle()))
                    .expect("the test waits");
                server.await.expect("the server runs");
            });
        });
        let (address, handle) = starts.recv_timeout(PATIENCE).expect("the server starts");
        Self {
            address,
            sessions,
            gate,
            handle,
            thread: Some(thread),
        }
    }

    /// Somebody with an empty cookie jar.
    pub fn visitor(&self) -> Visitor {
        Visitor::new(self.address)
    }

    /// Sends a request as it stands and reads the answer.
    pub fn raw(&self, request: &[u8]) -> Reply {
        self.try_raw(request).expect("an answer")
    }

    /// The same; nothing if the connection ends without an answer.
    pub fn try_raw(&self, request: &[u8]) -> Option<Reply> {
        wire::ask_once(self.address, request)
    }

    /// A request with these `Cookie` headers, byte for byte.
    pub fn with_cookies(&self, method: &str, path: &str, headers: &[&[u8]]) -> Reply {
        self.raw(&self.request(method, path, headers))
    }

    fn request(&self, method: &str, path: &str, headers: &[&[u8]]) -> Vec<u8> {
        let address = self.address;
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n").into_bytes();
        for header in headers {
            request.extend_from_slice(b"Cookie: ");
            request.extend_from_slice(header);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        request
    }

    /// Whether a request that shows a session cookie gets no answer.
    pub fn breaks_off(&self, method: &str, path: &str, token: &str) -> bool {
        let cookie = format!("bsession={token}");
        self.try_raw(&self.request(method, path, &[cookie.as_bytes()]))
            .is_none()
    }

    /// A request that shows one session cookie.
    pub fn with_token(&self, method: &str, path: &str, token: &str) -> Reply {
        self.with_cookies(method, path, &[format!("bsession={token}").as_bytes()])
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("the server ends");
            }
        }
    }
}

/// An answer, taken apart.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .expect("a status line");
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Self {
            status: status.parse().expect("a number"),
            headers,
            body: body.to_owned(),
        }
    }

    /// The values of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| &**value)
            .collect()
    }

    /// The `Set-Cookie` headers that carry our cookie.
    pub fn set_cookies(&self) -> Vec<&str> {
        self.header("set-cookie")
            .into_iter()
            .filter(|value| value.starts_with("bsession="))
            .collect()
    }

    /// The token that the answer sets, if it sets one.
    pub fn token(&self) -> Option<&str> {
        let [cookie] = self.set_cookies()[..] else {
            return None;
        };
        let value = cookie.split(';').next()?.strip_prefix("bsession=")?;
        (!value.is_empty()).then_some(value)
    }

    /// Whether the answer takes the cookie away.
    pub fn removes_cookie(&self) -> bool {
        matches!(self.set_cookies()[..], [cookie] if cookie.starts_with("bsession=;") && cookie.contains("Max-Age=0"))
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("a body in JSON")
    }
}
