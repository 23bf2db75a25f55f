//! What the back button brings back.

use crate::{Browser, GUEST, sign, story};

/// Goes back to the first page of the guest book and looks at every one of them.
async fn sees_nothing_of(name: &str, browser: &Browser) {
    let mut looked = 0;
    loop {
        browser.back().await;
        let url = browser.script("return location.protocol").await;
        if url != "http:" {
            break;
        }
        browser.shows("Guest book").await;
        let all = browser
            .script(
                "return [document.documentElement.outerHTML,
                         ...[...document.querySelectorAll('input, textarea')].map(e => e.value)].join()",
            )
            .await;
        let all = all.as_str().expect("a text");
        assert!(!all.contains(name), "{name} on the page:\n{all}");
        looked += 1;
    }
    assert!(looked > 1, "there was no page to go back to");
}

#[test]
fn after_a_logout_the_back_button_shows_nothing_of_the_user() {
    story(async |place| {
        let ann = place.visitor("Ann").await;
        sign(&ann, "Ann was here").await;
        ann.follow("Where you are logged in").await;
        ann.follow("Back to the guest book").await;
        ann.fill("Your entry", "Ann has not sent this").await;
        ann.press("Log out").await;
        ann.shows(GUEST).await;
        sees_nothing_of("Ann", &ann).await;
    });
}

#[test]
fn the_back_button_shows_the_next_user_nothing_of_the_last() {
    story(async |place| {
        let browser = place.visitor("Ann").await;
        browser.fill("Your entry", "Ann has not sent this").await;
        browser.press("Log out").await;
        browser.fill(GUEST, "Bob").await;
        browser.press("Log in").await;
        browser.shows("Good to see you, Bob.").await;
        sees_nothing_of("Ann", &browser).await;
    });
}
