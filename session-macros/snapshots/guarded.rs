#[session(require, fresh = "15m", renew)]
async fn guarded(user: &str, form: Form<Address>) -> Html {
    greet(user)
}
