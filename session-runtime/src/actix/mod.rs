//! Sessions on actix-web: the only part of the library that knows the framework.

mod admit;
mod call;
mod connect;
mod connection;
mod error;
mod hooks;
mod respond;

pub use admit::Words;
pub use call::{Call, Request};
pub use connect::connect;
pub use connection::Connection;
pub use hooks::{Hooks, HooksMiddleware};
pub use respond::Saved;
