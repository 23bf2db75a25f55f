/// Ends the session.
#[session(purge)]
#[post("/logout")]
pub async fn logout(_: HttpRequest, mut form: Form<Leave>) -> impl Responder {
    Redirect::to(form.next.take()).see_other()
}
