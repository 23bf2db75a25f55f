//! A secure cookie that leaves over plain http: browsers drop it, and the log says so.

use actix_web::http::Version;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, web};
use bsession::{Mode, Secure, Sessions, session};

use crate::events::events_of;
use crate::support::SECRET;

#[session]
async fn begin() -> &'static str {
    session["a"] = 1.into();
    "begun"
}

/// Returns the warnings about two first visits with these headers.
fn warnings(secure: Secure, version: Version, headers: &[(&str, &str)]) -> Vec<String> {
    let sessions = Sessions::builder(SECRET).mode(Mode::Memory).secure(secure);
    let sessions = sessions.build().expect("a service");
    let mut lines = events_of(|| {
        actix_web::rt::System::new().block_on(async {
            let app = App::new().app_data(sessions);
            let app = init_service(app.default_service(web::to(begin))).await;
            for _ in 0..2 {
                let request = TestRequest::default().version(version);
                let request = headers
                    .iter()
                    .fold(request, |request, header| request.append_header(*header));
                let response = call_service(&app, request.to_request()).await;
                let cookie = response.response().cookies().next().expect("a cookie");
                assert_eq!(cookie.secure().unwrap_or(false), secure == Secure::Always);
            }
        });
    });
    lines.retain(|line| line.starts_with("WARN"));
    lines
}

/// A release build sends `Secure` on this machine, too, as `Secure::Always` does in every build.
#[test]
fn a_secure_cookie_over_plain_http_is_told_once() {
    for (host, hint) in [
        ("localhost:8080", "Safari"),
        ("shop.localhost", "Safari"),
        ("127.0.0.1:8080", "Safari"),
        ("[::1]:8080", "Safari"),
        ("shop.example", "browsers will not keep it"),
    ] {
        let own = format!("http://{host}");
        for more in [
            &[][..],
            &[("origin", &*own)],
            &[("referer", &*own)],
            &[
                ("x-forwarded-proto", "http"),
                ("x-forwarded-for", "192.0.2.1"),
            ],
        ] {
            let headers = [&[("host", host)], more].concat();
            let lines = warnings(Secure::Always, Version::HTTP_11, &headers);
            let [line] = &lines[..] else {
                panic!("{headers:?}: {lines:#?}");
            };
            assert!(
                line.starts_with("WARN message=secure_cookie_over_plain_http"),
                "{line}"
            );
            assert!(line.contains(hint), "{line}");
        }
        let lines = warnings(Secure::Never, Version::HTTP_11, &[("host", host)]);
        assert!(lines.is_empty(), "{lines:#?}");
    }
}

#[test]
fn no_secure_cookie_behind_a_proxy_with_https_is_told() {
    let silent = |version, headers: &[(&str, &str)]| {
        let lines = warnings(Secure::Always, version, headers);
        assert!(lines.is_empty(), "{version:?} {headers:?}: {lines:#?}");
    };
    for host in ["localhost:8080", "127.0.0.1:8080", "shop.example"] {
        for sign in [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-proto", "https, http"),
            ("forwarded", "for=192.0.2.1;proto=https"),
            ("origin", "https://shop.example"),
            ("referer", "https://shop.example/cart"),
        ] {
            silent(Version::HTTP_11, &[("host", host), sign]);
        }
    }
    // What a proxy sends that rewrites `Host` to the address that it asks, and says nothing of the scheme.
    let host = ("host", "127.0.0.1:8080");
    silent(Version::HTTP_10, &[host]);
    for sign in ["via", "x-forwarded-for", "x-forwarded-host"] {
        silent(Version::HTTP_11, &[host, (sign, "192.0.2.1")]);
    }
}
