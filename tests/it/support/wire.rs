//! Requests as they stand, without a cookie jar.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::Reply;
use super::gate::PATIENCE;

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket option");
    stream
}

/// Sends a request as it stands and reads until the connection ends; nothing if it ends without
/// an answer.
pub fn ask_once(address: SocketAddr, request: &[u8]) -> Option<Reply> {
    let mut stream = connect(address);
    stream.write_all(request).expect("the server reads");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the server answers");
    (!bytes.is_empty()).then(|| Reply::parse(&bytes))
}

/// A connection that is kept from one request to the next.
pub struct Wire(BufReader<TcpStream>);

impl Wire {
    pub fn open(address: SocketAddr) -> Self {
        Self(BufReader::new(connect(address)))
    }

    pub fn get(&mut self, path: &str, token: Option<&str>) -> Reply {
        self.ask("GET", path, token)
    }

    pub fn post(&mut self, path: &str, token: Option<&str>) -> Reply {
        self.ask("POST", path, token)
    }

    /// A request that shows this session cookie, or none.
    pub fn ask(&mut self, method: &str, path: &str, token: Option<&str>) -> Reply {
        self.send(method, path, token);
        self.receive()
    }

    /// Sends a request and does not wait for the answer.
    pub fn send(&mut self, method: &str, path: &str, token: Option<&str>) {
        let cookie = token.map(|token| format!("Cookie: bsession={token}\r\n"));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: h\r\n{}Content-Length: 0\r\n\r\n",
            cookie.unwrap_or_default()
        );
        self.0
            .get_mut()
            .write_all(request.as_bytes())
            .expect("the server reads");
    }

    /// Whether there is something of the answer yet.
    #[cfg(target_os = "linux")]
    pub fn has_answer(&self) -> bool {
        let stream = self.0.get_ref();
        stream.set_nonblocking(true).expect("a socket option");
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false).expect("a socket option");
        peeked.is_ok()
    }

    /// The answer to what was sent.
    pub fn receive(&mut self) -> Reply {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let read = self.0.read_until(b'\n', &mut bytes);
            assert_ne!(read.expect("the server answers"), 0, "the connection ended");
        }
        let mut reply = Reply::parse(&bytes);
        let length = reply.header("content-length")[0].parse().expect("a number");
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("a body");
        reply.body = String::from_utf8_lossy(&body).into_owned();
        reply
    }
}
