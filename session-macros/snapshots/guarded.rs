#[session(csrf, lock, require, fresh = "15m", redirect = "/login", renew)]
async fn guarded(user: &str, form: Form<Address>) -> Html {
    greet(user)
}
