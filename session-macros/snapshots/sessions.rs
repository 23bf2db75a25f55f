#[session(sessions = services.admin, require = "role", csrf)]
async fn of_another_service(services: Data<Services>) -> Html {
    page(session)
}
