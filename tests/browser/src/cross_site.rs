//! Pages of other sites that try to act for whoever visits them.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{Browser, Place, sign, story};

/// Serves one page, at every path, for as long as the story is told.
async fn site(page: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let reply = reply.clone();
            tokio::spawn(async move {
                let mut head = [0; 8192];
                let _ = connection.read(&mut head).await;
                let _ = connection.write_all(reply.as_bytes()).await;
            });
        }
    });
    address
}

/// A form that posts to the guest book, on a page of the given host.
async fn lured(place: &Place, browser: &Browser, host: &str, path: &str, fields: &str) {
    let target = place.book.url(path);
    let page = format!(
        "<!doctype html><title>Win a prize</title>
         <form method=post action='{target}'>{fields}<button>Win</button></form>"
    );
    let port = site(page).await.port();
    browser.open(&format!("http://{host}:{port}/")).await;
    browser.press("Win").await;
    browser.shows("asked for by a page of another site").await;
    assert_eq!(status(browser).await, 403);
}

async fn status(browser: &Browser) -> i64 {
    let status = "return performance.getEntriesByType('navigation')[0]?.responseStatus ?? 0";
    browser.script(status).await.as_i64().expect("a number")
}

#[test]
fn a_form_on_another_site_changes_nothing() {
    story(async |place| {
        let ann = place.visitor("Ann").await;
        sign(&ann, "Ann was here").await;
        // With `localhost`, another site, comes no cookie. With another port, the same site and
        // another origin, comes the cookie, and only `csrf` refuses it.
        for host in ["localhost", "127.0.0.1"] {
            let signature = "<input name=text value='not by Ann'>";
            lured(place, &ann, host, "/sign", signature).await;
            lured(place, &ann, host, "/logout", "").await;
            lured(place, &ann, host, "/devices/logout-others", "").await;
            lured(
                place,
                &ann,
                host,
                "/login",
                "<input name=name value=Mallory>",
            )
            .await;
        }
        place.open(&ann, "/").await;
        ann.shows("Good to see you, Ann.").await;
        assert_eq!(ann.all("ol p").await, ["Ann was here"]);
    });
}

#[test]
fn another_site_cannot_frame_the_guest_book() {
    story(async |place| {
        let ann = place.visitor("Ann").await;
        let frame = format!(
            "<!doctype html><title>Look</title><iframe src='{}' onload='window.loaded = true'></iframe>",
            place.book.url("/")
        );
        let port = site(frame).await.port();
        ann.open(&format!("http://127.0.0.1:{port}/")).await;
        ann.until("the frame", async || {
            ann.script("return window.loaded === true").await == true
        })
        .await;
        let framed = ann.framed_text().await;
        assert!(!framed.contains("Ann"), "{framed}");
    });
}
