#[session]
async fn only_conditional(#[cfg(unix)] system: Data<System>) -> String {
    String::new()
}
