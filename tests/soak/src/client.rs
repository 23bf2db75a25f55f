//! An HTTP client that is content with little, and knows when it asked and when it was answered.

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::app::cookie_name;

/// Longer than a server may take: it gives up on its store before.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer, as much of it as anybody looks at.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The values of all session cookies that it sets; an empty one takes the cookie away.
    pub(crate) cookies: Vec<String>,
    pub(crate) body: String,
}

/// A connection that is kept alive.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask(&mut self, method: &str, path: &str, cookies: &[&str]) -> Result<Answer> {
        self.send(request(method, path, cookies).as_bytes())?;
        self.receive()
    }

    /// Sends a request, or the first half of it, and is gone.
    pub(crate) fn hang_up(mut self, path: &str, cookies: &[&str], whole: bool) -> Result<()> {
        let request = request("POST", path, cookies);
        let len = if whole {
            request.len()
        } else {
            request.len() / 2
        };
        self.send(&request.as_bytes()[..len])
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    fn receive(&mut self) -> Result<Answer> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|word| word.parse().ok());
        let mut answer = Answer {
            status: status.ok_or(std::io::ErrorKind::InvalidData)?,
            cookies: Vec::new(),
            body: String::new(),
        };
        let mut len = 0;
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            match &*name.to_ascii_lowercase() {
                "content-length" => len = value.parse().unwrap_or(0),
                "set-cookie" => answer.cookies.extend(session_cookie(value)),
                _ => {}
            }
        }
        let mut body = Vec::new();
        self.0.by_ref().take(len).read_to_end(&mut body)?;
        if body.len() as u64 != len {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(std::io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn session_cookie(header: &str) -> Option<String> {
    let value = header.strip_prefix(cookie_name())?.strip_prefix('=')?;
    value.split(';').next().map(str::to_owned)
}

fn request(method: &str, path: &str, cookies: &[&str]) -> String {
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n");
    for (place, cookie) in cookies.iter().enumerate() {
        let before = if place == 0 { "Cookie: " } else { "; " };
        request.push_str(before);
        request.push_str(cookie_name());
        request.push('=');
        request.push_str(cookie);
    }
    if !cookies.is_empty() {
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request
}
