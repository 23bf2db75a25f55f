#[session(realm = services.admin, require = "role")]
async fn realm(services: Data<Services>) -> Html {
    page(session)
}
