//! Handlers without a prelude, among names that mean something else: `#[session]` names all it
//! uses by an absolute path.
//!
//! No route attribute here: those of actix-web do need the prelude.

#![no_implicit_prelude]

/// None of these is what the expansion means.
mod misleading {
    #![allow(dead_code, unused_macros, missing_docs, non_camel_case_types)]

    pub(crate) mod std {}
    pub(crate) mod core {}
    pub(crate) mod bsession {}
    pub(crate) mod actix_web {}
    pub(crate) struct Option;
    pub(crate) struct Some;
    pub(crate) struct None;
    pub(crate) struct Session;
    pub(crate) struct Saved;
    pub(crate) struct Call;
    pub(crate) struct Responder;
    pub(crate) struct FromRequest;

    macro_rules! compile_error {
        () => {};
    }
    pub(crate) use compile_error;
}

use ::bsession::session;
#[allow(unused_imports)] // they are there to be found by mistake
use misleading::{
    Call, FromRequest, None, Option, Responder, Saved, Session, Some, actix_web, bsession,
    compile_error, core, std,
};

/// Without an extractor.
#[session]
pub async fn index() -> ::actix_web::HttpResponse {
    ::actix_web::HttpResponse::Ok().finish()
}

/// With everything.
#[session]
pub async fn show<T>(
    id: ::actix_web::web::Path<u32>,
    _: T,
) -> ::bsession::Result<impl ::actix_web::Responder>
where
    T: ::actix_web::FromRequest + 'static,
{
    if *id == 0 {
        return ::core::result::Result::Ok("nothing");
    }
    session.insert("id", *id)?;
    ::core::result::Result::Ok("something")
}

/// With an argument.
#[session(purge)]
pub async fn logout() -> &'static str {
    "gone"
}

/// The library in another place.
pub mod taken_over {
    #[doc(hidden)]
    pub use ::bsession::*;
}

/// With another path of the library, which is the only one that the expansion uses.
#[session(crate = taken_over, csrf, require)]
pub async fn at_another_path(id: ::actix_web::web::Path<u32>, user: &str) -> ::std::string::String {
    session["id"] = ::core::convert::Into::into(*id);
    ::std::borrow::ToOwned::to_owned(user)
}

/// Some keys of the session.
#[derive(::core::default::Default, ::serde::Serialize, ::serde::Deserialize)]
pub struct Cart {
    /// What is in it.
    pub items: ::std::vec::Vec<u32>,
}

impl ::bsession::View for Cart {}

/// With all that there is to be said before the body.
#[session(csrf, lock, require, fresh = "15m", redirect = "/login", renew)]
pub async fn words(cart: &mut Cart, id: ::actix_web::web::Path<u32>, user: &str) -> &'static str {
    cart.items.push(*id);
    session["user"] = ::core::convert::Into::into(user);
    "words"
}

/// Of another service, with a key that must be there.
#[session(sessions = sessions, require = "key", readonly)]
pub async fn of_another_service(
    sessions: ::actix_web::web::Data<::bsession::Sessions>,
    cart: &Cart,
) -> &'static str {
    let _ = cart.items.len();
    "another"
}

/// A type with a handler.
#[derive(::core::fmt::Debug)]
pub struct Handlers;

impl Handlers {
    /// What it shows.
    const TEXT: &'static str = "text";

    /// As an associated function.
    #[session]
    pub async fn show() -> &'static str {
        Self::TEXT
    }
}
