//! Requests over HTTP/2, in which the host has another name: `:authority`.

use actix_web::{App, HttpServer};
use bsession::{Mode, Sessions, session};

use crate::support::SECRET;

#[session(csrf)]
async fn guarded() -> &'static str {
    "passed"
}

/// Sends a `POST` over a connection that speaks nothing but HTTP/2, and returns the status.
async fn post(address: std::net::SocketAddr, authority: &str, headers: &[(&str, &str)]) -> u16 {
    let stream = tokio::net::TcpStream::connect(address);
    let stream = stream.await.expect("the server listens");
    let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    let connection = actix_web::rt::spawn(connection);
    let mut client = client.ready().await.expect("a stream");
    let uri = format!("http://{authority}/");
    let mut request = http::Request::post(uri).version(http::Version::HTTP_2);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (response, _) = client
        .send_request(request.body(()).expect("a request"), true)
        .expect("the request is sent");
    let status = response.await.expect("an answer").status().as_u16();
    drop(client);
    connection.abort();
    status
}

/// A client may send `host`, too, and it must say the same (RFC 9113 §8.3.1).
#[actix_web::test]
async fn over_http_2_the_authority_is_the_host_that_was_asked() {
    let sessions = Sessions::builder(SECRET).mode(Mode::Memory).build();
    let sessions = sessions.expect("a service");
    let server = HttpServer::new(move || {
        let guarded = actix_web::web::to(guarded);
        let app = App::new().app_data(sessions.clone());
        app.default_service(guarded)
    });
    let server = server.workers(1).disable_signals();
    let server = server.bind_auto_h2c(("127.0.0.1", 0)).expect("a free port");
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    let own = ("origin", "http://shop.example");
    let other = ("origin", "http://evil.example");
    for (headers, status) in [
        (&[own][..], 200),
        (&[other], 403),
        (&[own, ("host", "shop.example")], 200),
        (&[own, ("host", "evil.example")], 200),
        (&[other, ("host", "evil.example")], 403),
        (
            &[own, ("host", "evil.example"), ("host", "evil.example")],
            200,
        ),
    ] {
        let got = post(address, "shop.example", headers).await;
        assert_eq!(got, status, "{headers:?}");
    }
    handle.stop(false).await;
}
