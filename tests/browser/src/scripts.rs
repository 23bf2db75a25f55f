//! Pages that htmx or Turbo put together: a visitor who has to log in gets to the login page, and back.

use crate::board::Board;
use crate::browser::{Browser, Driver};
use crate::{is_told, npm};

const LOG_IN: &str = "Your name";

/// Tells a story where there are a browser and the scripts.
fn story(tell: impl AsyncFnOnce(&Board, &Browser)) {
    if !crate::browser::is_there() {
        return;
    }
    let Some(packages) = npm::packages() else {
        return;
    };
    let (board, driver) = (Board::open(packages), Driver::start());
    is_told(async {
        let browser = driver.browser().await;
        tell(&board, &browser).await;
    });
}

impl Board {
    async fn shows(&self, browser: &Browser, path: &str) {
        browser.open(&self.url(path)).await;
    }

    /// Logs in on the page that is there, and ends on the page behind it.
    async fn logs_in(&self, browser: &Browser) {
        browser.fill(LOG_IN, "Ann").await;
        browser.press("Log in").await;
    }

    async fn ends_the_session(&self) {
        let ended = self.sessions.revoke_user("Ann", None).await;
        assert_eq!(ended.expect("it works"), 1);
    }
}

/// The browser is at the login page, whose address has this path.
async fn asks_for_a_login(browser: &Browser, address: &str) {
    browser.shows(LOG_IN).await;
    let here = browser.script("return location.pathname + location.search");
    assert_eq!(here.await, address);
}

#[test]
fn a_part_that_htmx_asks_for_after_the_session_leads_to_the_login_and_back() {
    story(async |board, browser| {
        for htmx in ["htmx2", "htmx4"] {
            board.shows(browser, &format!("/members/{htmx}?a=1")).await;
            board.logs_in(browser).await;
            for (button, notices) in [
                ("Show the notices", "GET notices"),
                ("Write a notice", "POST notices"),
            ] {
                browser.shows("For Ann").await;
                board.ends_the_session().await;
                browser.press(button).await;
                let next = format!("/login?next=%2Fmembers%2F{htmx}%3Fa%3D1");
                asks_for_a_login(browser, &next).await;
                board.logs_in(browser).await;
                browser.shows("For Ann").await;
                browser.click(button).await;
                browser.shows(notices).await;
            }
            board.ends_the_session().await;
        }
    });
}

#[test]
fn a_link_that_htmx_boosts_leads_to_the_login_and_on() {
    story(async |board, browser| {
        for htmx in ["htmx2", "htmx4"] {
            board.shows(browser, &format!("/front/{htmx}")).await;
            browser.follow("For members").await;
            let next = format!("/login?next=%2Fmembers%2F{htmx}%3Fby%3Dlink");
            asks_for_a_login(browser, &next).await;
            board.logs_in(browser).await;
            browser.shows("For Ann").await;
            board.ends_the_session().await;
        }
    });
}

#[test]
fn a_link_that_turbo_follows_leads_to_the_login_and_on() {
    story(async |board, browser| {
        board.shows(browser, "/front/turbo").await;
        browser.script("window.stays = true").await;
        browser.follow("For members").await;
        asks_for_a_login(browser, "/login?next=%2Fmembers%2Fturbo%3Fby%3Dlink").await;
        assert_eq!(browser.script("return window.stays").await, true);
        board.logs_in(browser).await;
        browser.shows("For Ann").await;
        assert_eq!(browser.script("return window.stays").await, true);
    });
}

#[test]
fn a_form_that_turbo_sends_after_the_session_leads_to_the_login() {
    story(async |board, browser| {
        board.shows(browser, "/members/turbo").await;
        board.logs_in(browser).await;
        browser.shows("For Ann").await;
        board.ends_the_session().await;
        browser.press("Write a notice").await;
        asks_for_a_login(browser, "/login").await;
    });
}

#[test]
fn a_turbo_frame_leads_to_the_login_and_back_to_the_page_around_it() {
    story(async |board, browser| {
        board.shows(browser, "/front/turbo?a=1").await;
        browser.follow("Show the frame").await;
        asks_for_a_login(browser, "/framed-login?next=%2Ffront%2Fturbo%3Fa%3D1").await;
        board.logs_in(browser).await;
        browser.shows("For everybody").await;
        browser.follow("Show the frame").await;
        browser.shows("GET notices").await;
    });
}

#[test]
fn a_script_is_told_where_to_log_in() {
    story(async |board, browser| {
        board.shows(browser, "/front/turbo").await;
        let told = "return (async () => {
            const response = await window.fetch('/notices', { headers: { Accept: 'application/json' } });
            return [response.status, response.headers.get('Location'), (await response.json()).location];
        })()";
        let page = "/login?next=%2Ffront%2Fturbo";
        assert_eq!(
            browser.script(told).await,
            serde_json::json!([401, page, page])
        );
    });
}
