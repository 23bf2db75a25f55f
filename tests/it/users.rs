//! The sessions of a user: listed and ended from outside.

use actix_web::rt::System;
use serde_json::json;

use crate::support::for_each_store;

for_each_store! {
    fn a_users_sessions_are_listed_the_oldest_first(setup) {
        let site = setup.site();
        let devices: Vec<_> = (0..3).map(|_| {
            let device = site.visitor();
            device.post("/login/joe");
            setup.clock.advance(std::time::Duration::from_secs(1));
            device
        }).collect();
        site.visitor().post("/login/eve");
        site.visitor().post("/set/name/joe");
        let listed = || -> Vec<String> {
            let list = System::new().block_on(site.sessions.of_user("joe")).expect("the list");
            list.iter().map(|info| info.handle.to_string()).collect()
        };
        let handles: Vec<_> = devices.iter().map(|device| device.session()["handle"].as_str().expect("a handle").to_owned()).collect();
        assert_eq!(listed(), handles);
        devices[0].post("/renew");
        devices[1].post("/set/a/b");
        assert_eq!(listed(), handles, "renewals and saves change nothing");
        devices[2].post("/logout");
        assert_eq!(listed(), handles[..2]);
        devices[1].post("/login/eve");
        assert_eq!(listed(), handles[..1]);
        setup.clock.advance(std::time::Duration::from_secs(31 * 24 * 60 * 60));
        assert_eq!(listed(), Vec::<String>::new());
    }

    fn a_user_is_logged_out_everywhere_else(setup) {
        let site = crate::support::Site::open_with(setup.sessions(), routes);
        let devices: Vec<_> = (0..3).map(|_| site.visitor()).collect();
        let eve = site.visitor();
        for device in &devices {
            device.post("/login/joe");
        }
        eve.post("/login/eve");
        assert_eq!(devices[0].post("/elsewhere").body, "2");
        assert_eq!(devices[0].session()["user"], json!("joe"));
        for device in &devices[1..] {
            assert_eq!(device.session()["user"], json!(null), "at the very next request");
        }
        assert_eq!(System::new().block_on(site.sessions.remove_user("joe", None)).expect("removed"), 1);
        assert_eq!(devices[0].session()["user"], json!(null));
        assert_eq!(eve.session()["user"], json!("eve"));
    }

    fn a_user_is_found_under_every_secret(setup) {
        if setup.kind == crate::support::Kind::Memory {
            return; // a memory store has one service, whose secrets do not change
        }
        let old = setup.builder_with(&crate::support::secret(1)).build().expect("a service");
        let site = crate::support::Site::open(old);
        let visitor = site.visitor();
        visitor.post("/login/joe");
        let new = setup.builder_with(&crate::support::secret(2)).previous_secret(crate::support::secret(1));
        let new = crate::support::Site::open(new.build().expect("a service"));
        let count = || System::new().block_on(new.sessions.of_user("joe")).expect("the list").len();
        assert_eq!(count(), 1);
        visitor.at(new.address).get("/all");
        assert_eq!(count(), 1, "moved over, it is there once");
        assert_eq!(System::new().block_on(site.sessions.of_user("joe")).expect("the list").len(), 0);
    }
}

#[test]
fn the_name_of_a_user_counts_for_the_size() {
    let setup = crate::support::Setup::new(crate::support::Kind::Memory);
    let sessions = setup.builder().max_size(1000).build().expect("a service");
    let login = |length: usize| {
        System::new().block_on(sessions.cookie_for(|session| session.login("x".repeat(length))))
    };
    assert!(login(900).is_ok());
    assert!(matches!(
        login(5_000_000),
        Err(bsession::Error::TooLarge { max: 1000, .. })
    ));
}

fn routes(config: &mut actix_web::web::ServiceConfig) {
    use actix_web::{Responder, post};
    use bsession::{Sessions, session};

    #[post("/elsewhere")]
    #[session]
    async fn elsewhere(sessions: Sessions) -> bsession::Result<impl Responder> {
        let user = session.user().unwrap_or_default().to_owned();
        Ok(sessions
            .remove_user(&user, Some(session))
            .await?
            .to_string())
    }

    config.service(elsewhere);
}
