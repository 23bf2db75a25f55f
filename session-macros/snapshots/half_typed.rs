#[session]
async fn half_typed(id: Path<u32>) -> bsession::Result<impl Responder> {
    let name = session.
    session.
}
