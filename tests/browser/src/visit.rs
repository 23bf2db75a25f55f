//! Somebody logs in, signs, comes back and goes.

use crate::{GUEST, sign, story};

#[test]
fn two_browsers_are_two_people() {
    story(async |place| {
        let ann = place.visitor("Ann").await;
        let bob = place.visitor("Bob").await;
        sign(&ann, "Ann was here").await;
        sign(&bob, "and so was Bob").await;

        for (browser, own, others) in [
            (&ann, "Ann was here", "and so was Bob"),
            (&bob, "and so was Bob", "Ann was here"),
        ] {
            browser.reload().await;
            browser.shows(own).await;
            assert!(!browser.text().await.contains(others));
            // A message is shown once.
            assert!(!browser.text().await.contains("Thank you"));
        }

        ann.press("Log out").await;
        ann.shows(GUEST).await;
        ann.reload().await;
        ann.shows(GUEST).await;
        bob.reload().await;
        bob.shows("and so was Bob").await;
    });
}

#[test]
fn a_restart_of_the_server_keeps_the_login() {
    story(async |place| {
        let ann = place.visitor("Ann").await;
        sign(&ann, "before the restart").await;
        place.book.restart();
        ann.reload().await;
        ann.shows("Good to see you, Ann.").await;
        ann.shows("before the restart").await;
        // And so does a form that was loaded before.
        ann.fill("Your entry", "after the restart").await;
        place.book.restart();
        ann.press("Sign").await;
        ann.shows("after the restart").await;
        ann.shows("before the restart").await;
    });
}

#[test]
fn a_double_click_on_the_login_button_ends_logged_in() {
    story(async |place| {
        let ann = place.browser().await;
        place.open(&ann, "/").await;
        ann.fill(GUEST, "Ann").await;
        ann.double_click("Log in").await;
        ann.shows("Good to see you, Ann.").await;
        ann.reload().await;
        ann.shows("Good to see you, Ann.").await;
    });
}
