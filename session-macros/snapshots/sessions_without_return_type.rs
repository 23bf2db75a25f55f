#[session(sessions = services.admin)]
async fn admin(services: Data<Services>) {
    session["n"] = 1.into();
}
