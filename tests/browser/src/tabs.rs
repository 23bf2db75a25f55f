//! Two tabs of one browser are one session.

use crate::{Browser, GUEST, sign, story};

/// Opens the first page in another tab, which scripts of this one call `other`.
async fn opens_another(browser: &Browser) {
    browser.script("window.other = window.open('/')").await;
    browser
        .until("the other tab", async || {
            let is_there = "return other.document?.readyState === 'complete'
                                   && other.location.pathname === '/'";
            browser.script(is_there).await == true
        })
        .await;
}

/// Sends the form with a field in both tabs in one go, so that the second does not wait for the
/// first, and waits for both answers.
async fn both_send(browser: &Browser, field: &str, here: &str, there: &str) {
    let send = format!(
        "const send = (page, text) => {{
             page.isSent = true;
             const field = page.querySelector('{field}');
             field.value = text;
             field.form.requestSubmit();
         }};
         send(other.document, '{there}');
         send(document, '{here}');"
    );
    browser.script(&send).await;
    for tab in browser.tabs().await {
        browser.look_at(&tab).await;
        browser
            .until("the answer", async || {
                let is_there = "return !document.isSent && document.readyState === 'complete'";
                browser.script(is_there).await == true
            })
            .await;
    }
}

#[test]
fn two_tabs_that_sign_at_once_are_two_entries() {
    story(async |place| {
        let ann = place.visitor("Ann").await;
        opens_another(&ann).await;
        both_send(&ann, "#text", "from this tab", "from the other tab").await;
        ann.reload().await;
        let mut entries = ann.all("ol p").await;
        entries.sort();
        assert_eq!(entries, ["from the other tab", "from this tab"]);
    });
}

#[test]
fn two_tabs_that_log_in_at_once_are_both_logged_in() {
    story(async |place| {
        let ann = place.browser().await;
        place.open(&ann, "/").await;
        opens_another(&ann).await;
        // Both have the cookie of before.
        both_send(&ann, "#name", "Ann", "Ann").await;
        for tab in ann.tabs().await {
            ann.look_at(&tab).await;
            ann.shows("Good to see you, Ann.").await;
        }
        ann.reload().await;
        ann.shows("Good to see you, Ann.").await;
    });
}

#[test]
fn a_logout_in_one_tab_is_one_in_the_other() {
    story(async |place| {
        let ann = place.visitor("Ann").await;
        sign(&ann, "a secret").await;
        let first = ann.tab().await;
        ann.new_tab().await;
        place.open(&ann, "/").await;
        ann.shows("a secret").await;
        ann.press("Log out").await;
        ann.shows(GUEST).await;

        // What the first tab still shows, it can do nothing with.
        ann.look_at(&first).await;
        ann.fill("Your entry", "too late").await;
        ann.press("Sign").await;
        ann.shows(GUEST).await;
        place.log_in(&ann, "Ann").await;
        ann.shows("Nothing here yet.").await;
    });
}
