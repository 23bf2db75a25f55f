//! The `#[session]` attribute of the `bsession` crate, which re-exports it. Depend on `bsession`, not on this crate.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod admit;
mod args;
mod check;
mod expand;
mod extractor_params;
mod guess;
mod handler;
mod lent;
mod loans;
mod output;
mod pattern;
mod root;
mod span_of_time;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;
use quote::quote;

use crate::args::Args;
use crate::check::check;
use crate::expand::expand;
use crate::handler::Handler;

/// Gives a handler its session, and saves it after the body has run.
///
/// In the body of an `async fn` under `#[session]` there is a binding `session` of type `&mut Session`. It is the
/// session of the visitor who sent the request. It is loaded before the body runs. It is saved, with the changes that
/// the body made, before the response leaves.
///
/// ```
/// use actix_web::{Responder, get, web::Path};
/// use bsession::session;
///
/// #[get("/greet/{name}")]
/// #[session]
/// async fn greet(name: Path<String>) -> bsession::Result<impl Responder> {
///     let visits = session.update("visits", |n: u64| n + 1)?;
///     session["last"] = name.as_str().into();
///     Ok(format!("Hello {name}, visit {visits}"))
/// }
/// # use actix_web::{App, test};
/// # use bsession::{Mode, Secret, Sessions};
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sessions = Sessions::builder(Secret::random()?).mode(Mode::Memory).build()?;
/// # let app = test::init_service(App::new().app_data(sessions).service(greet)).await;
/// # let request = test::TestRequest::with_uri("/greet/joe").to_request();
/// # assert_eq!(test::call_and_read_body(&app, request).await, "Hello joe, visit 1");
/// # Ok(())
/// # }
/// ```
///
/// A handler cannot itself be called `session`, unless the session has [another
/// name](#parameters-that-are-references-come-from-the-session) there.
///
/// # Where to write it
///
/// Write it last, directly above `async fn`. A route attribute (`#[get("/")]`), `#[tracing::instrument]` and other
/// attributes go above it. It also works above them, but then they see the handler with the session already in it.
///
/// # What can be a handler
///
/// Every handler that actix-web accepts works. It may have up to sixteen extractors with any patterns, and generics. It
/// may be an associated function without `self`. It may return any type that is a `Responder`: `impl Responder`,
/// `HttpResponse`, `Result<impl Responder, E>`, and so on. `return` and `?` mean the same as without the attribute, and
/// the session is also saved after them.
///
/// The extractors run in the body's first lines, side by side as in actix-web, and so a type that borrows for a generic
/// lifetime (`fn f<'a>(it: Borrowing<'a>)`) cannot be one.
///
/// ```
/// use actix_web::{HttpResponse, Responder, error, web::Path};
/// use bsession::session;
///
/// struct Cart;
///
/// impl Cart {
///     const LIMIT: u32 = 100;
///
///     #[session]
///     async fn add(count: Path<u32>) -> actix_web::Result<impl Responder> {
///         if *count > Self::LIMIT {
///             return Err(error::ErrorBadRequest("too many"));
///         }
///         session.insert("count", *count)?;
///         Ok(HttpResponse::NoContent())
///     }
/// }
/// ```
///
/// # Parameters that are references come from the session
///
/// An extractor cannot be a reference. A parameter that is a reference therefore comes from the session, in any
/// position:
///
/// | parameter | is |
/// |---|---|
/// | `visitor: &mut Session`, `visitor: &Session` | the session, under a name that you choose instead of `session` |
/// | `cart: &mut Cart`, `cart: &Cart` | some of its keys as the fields of a [`View`](https://docs.rs/bsession/latest/bsession/trait.View.html), read before the body; behind `&mut` the fields that the body changed are saved |
/// | `user: &str` | the user who is logged in, in a handler with [`require`](#require) or [`fresh`](#fresh) |
/// | `user: Option<&str>` | the user, if one is logged in, on a page that is open to everybody. The parameter must be called `user` |
///
/// ```
/// use actix_web::{Responder, post, web::Path};
/// use bsession::{View, session};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Cart {
///     items: Vec<u32>,
///     coupon: Option<String>,
/// }
///
/// impl View for Cart {}
///
/// #[post("/cart/{item}")]
/// #[session]
/// async fn add(item: Path<u32>, cart: &mut Cart) -> impl Responder {
///     cart.items.push(*item);
///     session["last"] = (*item).into();
///     format!("{} in your cart", cart.items.len())
/// }
/// ```
///
/// Only the fields that the body changed are written: if another request sets the coupon while this handler runs,
/// both changes survive.
///
/// # What is saved, and when
///
/// | if the handler | then for the session |
/// |---|---|
/// | answers 2xx, 3xx or 4xx, also by `Err` | all is saved *before* the response leaves: a redirected request sees it |
/// | answers 5xx | its removal (`purge`) and its new id (`renew`) are saved; changes of data and user are not |
/// | panics, or is dropped because the client has gone | only the removal by `#[session(purge)]` is done |
/// | is not reached, because an extractor failed | only the removal by `#[session(purge)]` is done |
/// | is not reached, because its requirements refused the request | nothing changes. The request counts as a visit, unless `csrf` refused it |
///
/// Nothing is written if nothing has changed, and a visitor who only reads does not get a session.
/// If the store does not answer, the response is a 503. It never looks as if there were no session.
///
/// # The arguments
///
/// Write them in the parentheses, in any order, each at most once. The checks always run in the same order: first
/// `csrf` is checked, then `lock` is taken, then `require` and `fresh` are checked. They come before the extractors. A
/// request that is refused runs no extractor, and its body is not read. There is one exception: `csrf` reads the first
/// 64 KiB of a form if the browser does not say where the form comes from.
///
/// With [`sessions`](#sessions) the extractors come first, because the expression may use them.
///
/// For all handlers below a path, wrap the scope in a
/// [`Gate`](https://docs.rs/bsession/latest/bsession/struct.Gate.html), which has the same words.
///
/// ## `purge`
///
/// For a logout. The body can still read the session. After the body, the session and the cookie are removed, together
/// with the changes that the body made. That happens even if the body fails or panics.
///
/// ```
/// use actix_web::{Responder, post, web::Redirect};
/// use bsession::session;
///
/// #[post("/logout")]
/// #[session(purge)]
/// async fn logout() -> impl Responder {
///     Redirect::to("/").see_other()
/// }
/// ```
///
/// If a logout may refuse, or leaves a message for the next page, write `#[session]` and call `session.purge()` in the
/// body.
///
/// A `GET` that another site's page causes, by a link or an image, is refused with 403 and logs nobody out. A prefetch or
/// a prerender (`Sec-Purpose`, `Purpose`) is answered with 503: the browser asks again when the visitor opens the page.
///
/// ## `csrf`
///
/// For a handler that changes something. A `POST` or any other method that is not safe must come from a page of this
/// service, and so must a `GET` that opens a WebSocket. The browser says where a request comes from (`Sec-Fetch-Site`,
/// else `Origin`). If it does not, the request must carry the token that the page was given, in the form field
/// `csrf_token` or the header `X-CSRF-Token`. Other requests are refused with 403: the body does not run, and the
/// session stays as it was.
///
/// ```
/// use actix_web::{Responder, get, post, web::{Form, Html}};
/// use bsession::session;
///
/// #[get("/sign")]
/// #[session]
/// async fn form() -> impl Responder {
///     Html::new(format!(
///         r#"<form method="post" action="/sign">
///             <input type="hidden" name="csrf_token" value="{}"><input name="text"><button>Sign</button>
///         </form>"#,
///         session.csrf_token()
///     ))
/// }
///
/// #[derive(serde::Deserialize)]
/// struct Entry {
///     text: String,
/// }
///
/// #[post("/sign")]
/// #[session(csrf)]
/// async fn sign(entry: Form<Entry>) -> impl Responder {
///     session["text"] = entry.text.as_str().into();
///     "thank you"
/// }
/// ```
///
/// ## `lock`
///
/// For code that reads, decides and writes. Handlers with `lock` that serve the same session run one after another.
/// Each sees the changes of the one before. In file mode that holds across processes, in Redis across hosts.
///
/// ```
/// # use bsession::session;
/// #[session(lock)]
/// async fn spend() -> bsession::Result<String> {
///     let credit: u64 = session.get("credit")?.unwrap_or(0);
///     if credit > 0 {
///         session.insert("credit", credit - 1)?; // no other request has spent it meanwhile
///     }
///     Ok(format!("{credit} left"))
/// }
/// ```
///
/// The others wait for at most
/// [`lock_timeout`](https://docs.rs/bsession/latest/bsession/struct.Builder.html#method.lock_timeout), 10 seconds by
/// default, and then get a 503. The lock is released by the save, before the response's body is sent. A panic, a client
/// that hangs up, and the end of the process also release it. Handlers without `lock` do not wait, and neither do other
/// sessions. To count or to append you need no lock:
/// [`update`](https://docs.rs/bsession/latest/bsession/struct.Session.html#method.update) is exact without it.
/// [`Connection::lock`](https://docs.rs/bsession/latest/bsession/struct.Connection.html#method.lock) takes the same
/// lock by hand.
///
/// ## `quiet`
///
/// The request is no visit: it does not extend the session. Use it for a page that polls. An idle timeout then ends the
/// session of a user who left the page open.
///
/// ```
/// use actix_web::{HttpResponse, Responder, get};
/// use bsession::session;
///
/// #[get("/unread")]
/// #[session(quiet)]
/// async fn unread(user: Option<&str>) -> impl Responder {
///     match user {
///         Some(user) => HttpResponse::Ok().body(format!("{} unread messages", user.len())),
///         None => HttpResponse::Unauthorized().finish(), // the page can say that the login is over
///     }
/// }
/// ```
///
/// See [`Gate::quiet`](https://docs.rs/bsession/latest/bsession/struct.Gate.html#method.quiet) for everything that it leaves unchanged.
///
/// ## `readonly`
///
/// `session` is a `&Session`, so the handler cannot change it. The visit writes only the new expiry.
///
/// ```
/// # use bsession::session;
/// #[session(readonly)]
/// async fn greet() -> String {
///     format!("hello {}", session["name"].as_str().unwrap_or("stranger"))
/// }
/// ```
///
/// ## `require`
///
/// The body runs only for users who are logged in. Other visitors get a 401. `user: &str` is the user.
///
/// With `require = "key"` the body runs only for visitors whose session has that key, such as a cart or a role. Without
/// the key, a visitor who is not logged in gets a 401, and a user who is logged in gets a 403: another login would not
/// help. Both may stand together: `#[session(require, require = "staff")]`.
///
/// ```
/// use actix_web::{Responder, get};
/// use bsession::session;
///
/// #[get("/account")]
/// #[session(require)]
/// async fn account(user: &str) -> impl Responder {
///     format!("the account of {user}")
/// }
///
/// #[get("/checkout")]
/// #[session(require = "cart")]
/// async fn checkout() -> impl Responder {
///     session["cart"].to_string()
/// }
/// ```
///
/// ## `fresh`
///
/// Like `require`, and the login must not be older than the given time: a number, followed by `s`, `m`, `h` or `d`. Use
/// it where you would ask for the password again. A renewal is not a login.
///
/// ```
/// # use bsession::session;
/// #[session(fresh = "15m")]
/// async fn change_password(user: &str) -> String {
///     format!("the new password of {user}")
/// }
/// ```
///
/// ## `redirect`
///
/// A browser that `require` or `fresh` refuses is sent to this path of the site (303) instead of getting a 401. The
/// requested page goes along as `next`. The login reads it as a
/// [`LocalPath`](https://docs.rs/bsession/latest/bsession/struct.LocalPath.html), which cannot leave the site. Scripts
/// get a 401 that names the path: as `Location`, as `HX-Redirect` for htmx, and as `location` in JSON.
/// [`Gate::redirect`](https://docs.rs/bsession/latest/bsession/struct.Gate.html#method.redirect) says which clients are
/// redirected, and which page is `next`.
///
/// ```
/// use actix_web::{Responder, get, web::Path};
/// use bsession::session;
///
/// #[get("/orders/{id}")]
/// #[session(require, redirect = "/login")] // to /login?next=%2Forders%2F7
/// async fn order(id: Path<u32>, user: &str) -> impl Responder {
///     format!("order {id} of {user}")
/// }
/// ```
///
/// ## `renew`
///
/// For a handler that changes what a user may do, against session fixation. The session gets a new id after the body,
/// and the old id is dead at once. A login brings a new id even without `renew`.
///
/// ```
/// # use bsession::session;
/// #[session(require, renew)]
/// async fn become_administrator() -> bsession::Result<&'static str> {
///     session.insert("role", "administrator")?;
///     Ok("welcome")
/// }
/// ```
///
/// ## `sessions`
///
/// The session comes from another service, which the expression gives. An example is a service for administrators
/// beside the one for visitors. The expression is evaluated after the extractors, and may use them.
///
/// ```
/// use actix_web::{Responder, get, web::Data};
/// use bsession::{Sessions, session};
///
/// struct Services {
///     admin: Sessions, // built with `cookie_name("admin")`, or the like
/// }
///
/// #[get("/admin")]
/// #[session(sessions = services.admin, require)]
/// async fn admin(services: Data<Services>, user: &str) -> impl Responder {
///     format!("hello {user}")
/// }
/// ```
///
/// ## `crate`
///
/// The path of this library, for a framework that re-exports it or a crate that renames it. Without the word, generated
/// code uses `::bsession`.
///
/// ```
/// mod my_framework {
///     pub mod sessions {
///         pub use bsession::*;
///     }
/// }
///
/// use my_framework::sessions;
///
/// #[sessions::session(crate = sessions)]
/// async fn greet() -> String {
///     format!("hello {}", session["name"].as_str().unwrap_or("stranger"))
/// }
/// ```
///
/// A framework that re-exports the whole crate says `#[session(crate = my_framework::bsession)]`. In a `macro_rules!`
/// macro the path may begin with `$crate`.
///
/// # Borrows end with the body
///
/// The session is borrowed while the body runs, and saved after it. A value that outlives the body cannot borrow from
/// the session or from another parameter that is a reference. Examples of such values are a response, a streaming body,
/// a spawned task and the closure of `web::block`. The compiler says: "borrowed data escapes outside of closure". Copy
/// the data that it needs first, for example with `user.to_owned()`.
///
/// ```compile_fail,E0521
/// # use bsession::session;
/// #[session]
/// async fn name() -> String {
///     actix_web::rt::spawn(async move {
///         println!("{:?} was here", session.user());
///     });
///     String::from("thank you")
/// }
/// ```
///
/// ```
/// # use bsession::session;
/// #[session]
/// async fn name() -> String {
///     let user = session.user().map(str::to_owned);
///     actix_web::rt::spawn(async move {
///         println!("{user:?} was here");
///     });
///     String::from("thank you")
/// }
/// ```
///
/// # Only for handlers
///
/// A function under `#[session]` has one more parameter than you wrote, and another return type. Register it with
/// actix-web. You cannot call it, and you cannot use it as middleware with `from_fn`. Put code that several handlers
/// share into a function that takes the session.
///
/// ```
/// use bsession::{Session, session};
///
/// fn visit(session: &mut Session) -> bsession::Result<u64> {
///     session.update("visits", |n: u64| n + 1)
/// }
///
/// #[session]
/// async fn index() -> bsession::Result<String> {
///     Ok(format!("visit {}", visit(session)?))
/// }
/// ```
///
/// A `macro_rules!` macro that makes handlers should take their bodies as `$body:block`, because `session` is visible
/// to the code that has the braces.
#[proc_macro_attribute]
pub fn session(args: TokenStream, item: TokenStream) -> TokenStream {
    rewrite(args.into(), item.into()).into()
}

fn rewrite(
    args: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let mut errors = Vec::new();
    let args = Args::parse(args, &mut errors);
    let output = match syn::parse2::<Handler>(item.clone()) {
        Ok(handler) => {
            check(&args, &handler, &mut errors);
            expand(&args, handler)
        }
        Err(error) => {
            errors.push(error);
            item
        }
    };
    let errors = errors.iter().map(syn::Error::to_compile_error);
    quote!(#output #(#errors)*)
}
