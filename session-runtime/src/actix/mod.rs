//! Sessions on actix-web: the only part of the library that knows the framework.

mod admit;
mod call;
mod connect;
mod connection;
mod csrf;
mod error;
mod hooks;
mod respond;
mod tee;

pub use admit::Words;
pub use call::{Call, Request};
pub use connect::connect;
pub use connection::Connection;
pub use csrf::Csrf;
pub use hooks::{Hooks, HooksMiddleware};
pub use respond::Saved;
