#[session]
async fn views(visitor: &mut bsession::Session, item: Path<u32>, #[cfg(shop)] cart: &mut Cart, seen: &mut Seen<u32>) -> Result<impl Responder, Error> {
    cart.items.push(*item);
    Ok(visitor["name"].to_string())
}
