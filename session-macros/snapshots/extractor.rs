#[session]
async fn show(id: Path<u32>) -> impl Responder {
    session.insert("id", *id);
    "shown"
}
