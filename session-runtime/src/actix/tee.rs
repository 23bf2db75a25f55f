//! A request's body, looked at by somebody else than the one it is for.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_core::Stream;

/// How much of a body is remembered.
pub(super) const MOST: usize = 64 * 1024;

type Chunk = Result<Bytes, PayloadError>;

/// The beginning of a body: as much as its reader has read, and on demand more.
pub(super) struct Tee(Rc<RefCell<SharedBody>>);

struct SharedBody {
    source: Payload,
    has_ended: bool,
    /// Its beginning, until somebody has looked at it.
    seen: Option<Vec<u8>>,
    /// What was looked at before the reader came to it.
    ahead: VecDeque<Chunk>,
}

/// The body for its reader: all of it, as if nobody else looked.
struct Reader(Rc<RefCell<SharedBody>>);

impl Tee {
    /// Puts itself between a payload and who will read it.
    pub(super) fn around(payload: &mut Payload) -> Self {
        let body = Rc::new(RefCell::new(SharedBody {
            source: payload.take(),
            has_ended: false,
            seen: Some(Vec::new()),
            ahead: VecDeque::new(),
        }));
        *payload = Payload::Stream {
            payload: Box::pin(Reader(Rc::clone(&body))),
        };
        Self(body)
    }

    /// The first [`MOST`] bytes, and whether that is all. What nobody has read yet is read now, and
    /// kept for who reads it later.
    pub(super) async fn read(self) -> (Vec<u8>, bool) {
        poll_fn(|cx| {
            let mut body = self.0.borrow_mut();
            while !body.has_ended && body.room() > 0 {
                if let Some(chunk) = ready!(body.poll_source(cx)) {
                    body.ahead.push_back(chunk);
                }
            }
            // Nobody looks at the rest.
            let mut seen = body.seen.take().unwrap_or_default();
            let is_whole = body.has_ended && seen.len() <= MOST;
            seen.truncate(MOST);
            Poll::Ready((seen, is_whole))
        })
        .await
    }
}

impl SharedBody {
    /// How much is still to be remembered. One byte more than is shown tells that there is more.
    fn room(&self) -> usize {
        let seen = self.seen.as_ref().map_or(MOST + 1, Vec::len);
        (MOST + 1).saturating_sub(seen)
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Chunk>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let chunk = ready!(Pin::new(&mut self.source).poll_next(cx));
        match &chunk {
            Some(Ok(bytes)) => {
                let room = self.room().min(bytes.len());
                if let Some(seen) = &mut self.seen {
                    seen.extend_from_slice(&bytes[..room]);
                }
            }
            Some(Err(_)) | None => self.has_ended = true,
        }
        Poll::Ready(chunk)
    }
}

impl Stream for Reader {
    type Item = Chunk;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Chunk>> {
        let mut body = self.0.borrow_mut();
        match body.ahead.pop_front() {
            Some(chunk) => Poll::Ready(Some(chunk)),
            None => body.poll_source(cx),
        }
    }
}

impl fmt::Debug for Tee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tee(..)")
    }
}
