//! Sessions on actix-web. No other part of the library knows the framework.

mod call;
#[cfg(feature = "testing")]
mod client;
mod connect;
mod connection;
mod csrf;
mod error;
mod gate;
mod headers;
mod hooks;
mod host;
#[cfg(feature = "testing")]
mod reply;
mod saved;
mod tee;

pub use call::{Call, Request};
pub use gate::Gate;

#[cfg(feature = "testing")]
pub use client::Client;
pub use connect::connect;
pub use connection::Connection;
pub use csrf::Csrf;
pub use hooks::{Hooks, HooksMiddleware};
#[cfg(feature = "testing")]
pub use reply::Reply;
pub use saved::Saved;
