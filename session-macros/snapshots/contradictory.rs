#[session(purge, readonly, renew)]
async fn contradictory(session: &mut Cart, user: &str, name: &str) -> Html {
    page(session)
}
