#[session(realm = services.admin, require = "role", csrf)]
async fn realm(services: Data<Services>) -> Html {
    page(session)
}
