//! The guest book as a real browser sees it: Chromium, headless, each person with a profile of their own. And a board
//! whose pages are put together by scripts.

mod back;
mod board;
mod browser;
mod cookie;
mod cross_site;
mod devices;
mod guestbook;
mod leash;
mod npm;
mod prefetch;
mod scripts;
mod tabs;
mod visit;

use browser::{Browser, Driver};
use guestbook::Guestbook;

/// A guest book, and people who visit it.
struct Place {
    book: Guestbook,
    driver: Driver,
}

impl Place {
    /// A browser that has never been anywhere.
    async fn browser(&self) -> Browser {
        self.driver.browser().await
    }

    /// One that has logged in.
    async fn visitor(&self, name: &str) -> Browser {
        let browser = self.browser().await;
        self.log_in(&browser, name).await;
        browser
    }

    async fn open(&self, browser: &Browser, path: &str) {
        browser.open(&self.book.url(path)).await;
    }

    async fn log_in(&self, browser: &Browser, name: &str) {
        self.open(browser, "/").await;
        browser.fill("What may we call you?", name).await;
        browser.press("Log in").await;
        browser.shows(&format!("Good to see you, {name}.")).await;
    }
}

const GUEST: &str = "What may we call you?";

async fn sign(browser: &Browser, text: &str) {
    browser.fill("Your entry", text).await;
    browser.press("Sign").await;
    browser.shows("Thank you for signing.").await;
}

/// Tells a story where there is a browser.
fn story(tell: impl AsyncFnOnce(&mut Place)) {
    if !browser::is_there() {
        return;
    }
    let mut place = Place {
        book: Guestbook::open(),
        driver: Driver::start(),
    };
    is_told(tell(&mut place));
}

/// Waits for the end of a story.
fn is_told(story: impl Future<Output = ()>) {
    // Not of the current thread: that one waits when a browser is dropped, and somebody has to tell it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(story);
}
