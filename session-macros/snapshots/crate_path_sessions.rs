#[session(crate = "crate::sessions", sessions = admin, readonly)]
async fn of_a_service(admin: Data<Sessions>) -> Html {
    page(session)
}
