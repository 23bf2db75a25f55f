#[session(crate = my_framework::bsession, csrf, require)]
async fn of_a_framework(id: Path<u32>, cart: &mut Cart, user: &str) -> impl Responder {
    page(session, user)
}
