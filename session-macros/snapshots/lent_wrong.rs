#[session(readonly, purge, renew, renew, fresh = "soon", require = 5, sessions)]
async fn lent_wrong<'a>(user: &mut str, session: &mut Session, again: &Session, cart: &'a Cart, same: &Cart, any: &impl View) -> Html {
    page(session)
}
