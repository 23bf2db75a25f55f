//! Sessions on actix-web. No other part of the library knows the framework.

mod asking;
mod call;
#[cfg(feature = "testing")]
mod client;
mod connect;
mod connection;
mod csrf;
mod error;
mod extractors;
mod gate;
mod gate_middleware;
mod headers;
mod hooks;
mod host;
mod logged_in;
mod prefetch;
mod refusals;
mod refused;
#[cfg(feature = "testing")]
mod reply;
mod saved;
mod unread_body;
mod visitor;
mod withheld;
mod wording;

pub use call::{Call, Request};

#[cfg(feature = "testing")]
pub use client::Client;
pub use connect::connect;
pub use connection::Connection;
pub use extractors::Extractors;
pub use gate::Gate;
pub use gate_middleware::GateMiddleware;
pub use hooks::{Hooks, HooksMiddleware};
pub use logged_in::LoggedIn;
pub use refusals::Refusals;
pub use refused::Refused;
#[cfg(feature = "testing")]
pub use reply::Reply;
pub use saved::Saved;
pub use visitor::{Visitor, user_of};
