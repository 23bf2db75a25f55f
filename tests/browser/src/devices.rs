//! The page that says where somebody is logged in.

use crate::{GUEST, story};

#[test]
fn the_devices_page_lists_both_and_ends_one() {
    story(async |place| {
        let desk = place.visitor("Ann").await;
        let sofa = place.visitor("Ann").await;
        let bob = place.visitor("Bob").await;
        desk.follow("Where you are logged in").await;
        desk.shows("this device").await;
        let devices = desk.all("li").await;
        assert_eq!(devices.len(), 2, "{devices:?}");
        let here = |text: &String| text.contains("this device");
        assert_eq!(devices.iter().filter(|text| here(text)).count(), 1);
        assert!(devices.iter().all(|text| text.contains("Chrome on Linux")));

        desk.press("Log out").await;
        desk.shows("That device is logged out.").await;
        assert_eq!(desk.all("li").await.len(), 1);
        sofa.reload().await;
        sofa.shows(GUEST).await;
        for (browser, name) in [(&desk, "Ann"), (&bob, "Bob")] {
            place.open(browser, "/").await;
            browser.shows(&format!("Good to see you, {name}.")).await;
        }
    });
}

#[test]
fn log_out_everywhere_else_is_everywhere_but_here() {
    story(async |place| {
        let desk = place.visitor("Ann").await;
        let sofa = place.visitor("Ann").await;
        place.open(&desk, "/devices").await;
        desk.press("Log out everywhere else").await;
        desk.shows("You are logged out everywhere but here.").await;
        sofa.reload().await;
        sofa.shows(GUEST).await;
        desk.reload().await;
        assert_eq!(desk.all("li").await.len(), 1);
    });
}
