#[session(csrf)]
async fn conditional_csrf(#[cfg(shop)] order: Form<Order>, id: Path<u32>) -> String {
    id.to_string()
}
