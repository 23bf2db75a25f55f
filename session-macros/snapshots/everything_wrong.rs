#[session(purge, purged, purge)]
const unsafe extern "C" fn everything_wrong(&self, session: &Session, ...) {
    session.purge()
}
