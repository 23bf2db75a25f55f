/// A shop.
#[post("/cart/{item}")]
#[session(readonly)]
async fn lent(cart: &Cart, item: Path<u32>, Prices { sale, .. }: &shop::Prices) -> impl Responder {
    format!("{} {}", cart.items.len(), session["name"])
}
