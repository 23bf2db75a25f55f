//! What is kept beside an application, and what is waited for in a task, may be on any thread: checked by the compiler.

use std::path::Path;

use bsession::{
    Builder, Clock, Connection, Data, Error, Flash, Handle, Hooks, InitError, LocalPath, Mode,
    Secret, Session, SessionInfo, Sessions, Stats, Timestamp, store,
};

const fn shared<T: Send + Sync + 'static>() {}

const _: () = {
    shared::<Sessions>();
    shared::<Builder>();
    shared::<Mode>();
    shared::<Secret>();
    shared::<Clock>();
    shared::<Timestamp>();
    shared::<Stats>();
    shared::<Hooks>();
    shared::<Connection>();
    shared::<Session>();
    shared::<Data>();
    shared::<Flash>();
    shared::<Handle>();
    shared::<LocalPath>();
    shared::<SessionInfo>();
    shared::<Error>();
    shared::<InitError>();
    shared::<store::Record>();
    shared::<store::Lease>();
    shared::<store::StoreError>();
};

fn sent<T: Send>(_: T) {}

/// Called by nobody: that it compiles is the test.
#[expect(dead_code, reason = "see above")]
fn futures_of_the_service_may_be_spawned(sessions: &Sessions, session: &Session, handle: Handle) {
    sent(sessions.of_user("joe"));
    sent(sessions.revoke("joe", handle));
    sent(sessions.revoke_user("joe", Some(session)));
    sent(sessions.import_files(Path::new("sessions")));
    sent(sessions.cookie_for(|session| session.login("joe")));
}

#[expect(dead_code, reason = "see above")]
fn futures_of_a_session_may_be_spawned(connection: &mut Connection, session: &mut Session) {
    sent(connection.lock());
    sent(session.claim::<u64>("gift"));
    sent(session.flashes());
}
