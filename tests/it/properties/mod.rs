//! Promises that hold for anything a program may do: of made-up inputs each is compared with a
//! model that is simple enough to be believed.

mod act;
mod connections;
mod dictionary;
mod local_path;
mod merge;
mod set_cookie;

use actix_web::FromRequest;
use actix_web::HttpRequest;
use actix_web::cookie::Cookie;
use actix_web::test::TestRequest;
use bsession::{Connection, Sessions};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Tries `check` on many values. A failing one is made small and printed; no file is kept of it,
/// since it is worth more as a test with a name.
fn for_all<S: Strategy>(values: &S, check: impl Fn(S::Value)) {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let result = TestRunner::new(config).run(values, |value| {
        check(value);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

async fn connected(
    sessions: &Sessions,
    cookie: Option<&Cookie<'static>>,
) -> (HttpRequest, Connection) {
    let mut request = TestRequest::default().app_data(sessions.clone());
    if let Some(cookie) = cookie {
        request = request.cookie(cookie.clone());
    }
    let request = request.to_http_request();
    let connection = Connection::extract(&request).await.expect("it works");
    (request, connection)
}
