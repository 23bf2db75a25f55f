//! A visitor: one keep-alive connection and the cookie a browser would hold.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::library::{PAGE, Route, START, USER, VISITS_AT_START};

pub(crate) struct Visitor {
    stream: TcpStream,
    cookie: String,
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Visitor {
    /// Connects and begins a session of two keys.
    pub(crate) async fn arrive(address: SocketAddr) -> io::Result<Self> {
        let mut visitor = Self::connect(address, String::new()).await?;
        visitor.begin().await?;
        Ok(visitor)
    }

    async fn connect(address: SocketAddr, cookie: String) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            cookie,
            request: Vec::with_capacity(1024),
            response: Vec::with_capacity(4096),
        })
    }

    /// A connection of its own with this visitor's cookie.
    pub(crate) async fn tab(&self, address: SocketAddr) -> io::Result<Self> {
        Self::connect(address, self.cookie.clone()).await
    }

    /// Comes without a cookie and begins a session of two keys.
    pub(crate) async fn begin(&mut self) -> io::Result<()> {
        self.cookie.clear();
        self.visit(START).await?;
        if self.cookie.is_empty() {
            return Err(io::Error::other("the session began without a cookie"));
        }
        Ok(())
    }

    /// One request and its whole response; anything but 200 is an error. A new cookie replaces the old.
    pub(crate) async fn visit(&mut self, path: &str) -> io::Result<&str> {
        self.request.clear();
        for part in ["GET ", path, " HTTP/1.1\r\nHost: localhost\r\n"] {
            self.request.extend_from_slice(part.as_bytes());
        }
        if !self.cookie.is_empty() {
            for part in ["Cookie: ", &self.cookie, "\r\n"] {
                self.request.extend_from_slice(part.as_bytes());
            }
        }
        self.request.extend_from_slice(b"\r\n");
        self.stream.write_all(&self.request).await?;

        self.response.clear();
        let (head, length) = loop {
            if self.stream.read_buf(&mut self.response).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(end) = self
                .response
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n")
            {
                break (end, self.read_head(path, end)?);
            }
        };
        let (begin, end) = (head + 4, head + 4 + length);
        while self.response.len() < end {
            if self.stream.read_buf(&mut self.response).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        std::str::from_utf8(&self.response[begin..end]).map_err(io::Error::other)
    }

    /// Checks the status, keeps a new cookie, gives the body's length.
    fn read_head(&mut self, path: &str, end: usize) -> io::Result<usize> {
        let head = std::str::from_utf8(&self.response[..end]).map_err(io::Error::other)?;
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        if !status.starts_with("HTTP/1.1 200") {
            return Err(io::Error::other(format!("{path} answered {status:?}")));
        }
        let mut length = None;
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().ok();
            } else if name.eq_ignore_ascii_case("set-cookie") {
                self.cookie.clear();
                self.cookie
                    .push_str(value.split(';').next().unwrap_or_default());
            }
        }
        length.ok_or_else(|| io::Error::other(format!("{path} answered without a length")))
    }
}

/// Visits a server's route twice: figures of a server that does not keep its sessions would be worth
/// nothing.
pub(crate) async fn check(address: SocketAddr, route: Route) -> io::Result<()> {
    let mut visitor = Visitor::arrive(address).await?;
    for visit in 1..=2 {
        let before = visitor.cookie.clone();
        let visits = match route {
            Route::Write | Route::Count | Route::Update => VISITS_AT_START + visit,
            Route::Bare | Route::Read | Route::Login => VISITS_AT_START,
        };
        let expected = format!("{USER} {visits}");
        let body = visitor.visit(PAGE).await?;
        if body != expected {
            let wrong = format!("it answered {body:?}, not {expected:?}");
            return Err(io::Error::other(wrong));
        }
        if route == Route::Login && visitor.cookie == before {
            return Err(io::Error::other("the id is the same after the login"));
        }
    }
    Ok(())
}
