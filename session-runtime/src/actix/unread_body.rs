//! The body of a request before its extractors read it. Its beginning can be looked at.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_core::Stream;

/// The most bytes of a body that [`UnreadBody::beginning`] returns.
pub(super) const MAX_BEGINNING: usize = 64 * 1024;

type Chunk = Result<Bytes, PayloadError>;

/// The body of a request. Its readers get all of it, also the part that was looked at.
pub(super) struct UnreadBody {
    pub(super) payload: Payload,
    /// The beginning, if it was read before the extractors took the payload.
    seen: Option<Box<Beginning>>,
}

/// The first bytes of a body.
pub(super) struct Beginning {
    /// At most [`MAX_BEGINNING`] bytes.
    pub(super) bytes: Vec<u8>,
    /// True if the body has no more bytes, or broke off there.
    pub(super) is_whole: bool,
}

/// The payload for its readers: the chunks that were looked at, then the rest.
struct Resumed {
    ahead: VecDeque<Chunk>,
    rest: Payload,
}

impl UnreadBody {
    pub(super) fn take(payload: &mut Payload) -> Self {
        Self {
            payload: payload.take(),
            seen: None,
        }
    }

    /// Returns the beginning of the body, which stays in the payload for its readers.
    pub(super) async fn beginning(&mut self) -> Beginning {
        match self.seen.take() {
            Some(seen) => *seen,
            None => look_ahead(&mut self.payload).await,
        }
    }

    /// Reads the beginning now and keeps it, for a gate that comes after the extractors.
    pub(super) async fn look_ahead(&mut self) {
        self.seen = Some(Box::new(look_ahead(&mut self.payload).await));
    }
}

async fn look_ahead(payload: &mut Payload) -> Beginning {
    let mut body = Box::pin(Resumed {
        ahead: VecDeque::new(),
        rest: payload.take(),
    });
    let mut bytes = Vec::new();
    let is_whole = poll_fn(|cx| {
        // One byte beyond the limit shows that the body is longer.
        while bytes.len() <= MAX_BEGINNING {
            let Some(chunk) = ready!(Pin::new(&mut body.rest).poll_next(cx)) else {
                return Poll::Ready(true);
            };
            let has_failed = chunk.is_err();
            if let Ok(chunk) = &chunk {
                // Empty chunks add nothing, and any number of them may come.
                if chunk.is_empty() {
                    continue;
                }
                let room = (MAX_BEGINNING + 1 - bytes.len()).min(chunk.len());
                bytes.extend_from_slice(&chunk[..room]);
            }
            body.ahead.push_back(chunk);
            if has_failed {
                body.rest = Payload::None;
                return Poll::Ready(true);
            }
        }
        Poll::Ready(false)
    })
    .await;
    bytes.truncate(MAX_BEGINNING);
    *payload = Payload::Stream { payload: body };
    Beginning { bytes, is_whole }
}

impl Stream for Resumed {
    type Item = Chunk;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Chunk>> {
        let this = self.get_mut();
        match this.ahead.pop_front() {
            Some(chunk) => Poll::Ready(Some(chunk)),
            None => Pin::new(&mut this.rest).poll_next(cx),
        }
    }
}

impl fmt::Debug for UnreadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnreadBody(..)")
    }
}
