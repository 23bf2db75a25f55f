//! Looks at the body of a request without taking it from the extractor that reads it.

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

/// The most bytes of a body that [`Tee::read`] returns.
pub(super) const MOST: usize = 64 * 1024;

type Chunk = Result<Bytes, PayloadError>;

/// The beginning of a body: the part that its reader has read, and more on demand.
pub(super) struct Tee(Rc<RefCell<SharedBody>>);

struct SharedBody {
    source: Payload,
    has_ended: bool,
    /// The beginning of the body, until [`Tee::read`] takes it.
    seen: Option<Vec<u8>>,
    /// The chunks that [`Tee::read`] has read and the reader has not.
    ahead: VecDeque<Chunk>,
}

/// The body as its reader sees it: complete, as if nothing else had read it.
struct Reader(Rc<RefCell<SharedBody>>);

impl Tee {
    /// Puts a tee between a payload and its reader.
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

    /// Returns the first [`MOST`] bytes, and true if the body ends there. Chunks that the reader has not read yet are
    /// read now, and kept for the reader.
    pub(super) async fn read(self) -> (Vec<u8>, bool) {
        poll_fn(|cx| {
            let mut body = self.0.borrow_mut();
            while !body.has_ended && body.room() > 0 {
                if let Some(chunk) = ready!(body.poll_source(cx)) {
                    body.ahead.push_back(chunk);
                }
            }
            // Nothing more has to be kept: this is the only read.
            let mut seen = body.seen.take().unwrap_or_default();
            let is_whole = body.has_ended && seen.len() <= MOST;
            seen.truncate(MOST);
            Poll::Ready((seen, is_whole))
        })
        .await
    }
}

impl SharedBody {
    /// Returns the number of bytes that are still to be kept. One byte beyond [`MOST`] is kept, because it shows that
    /// the body is longer.
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
