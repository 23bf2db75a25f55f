#[session(quiet)]
async fn visitor(user: Option<&str>) -> String {
    user.unwrap_or("a stranger").to_owned()
}
