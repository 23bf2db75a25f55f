// A view is lent: by value it is no extractor.

use actix_web::web::{Form, Path};
use bsession::{View, session};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Cart {
    items: Vec<u32>,
}

impl View for Cart {}

#[session]
async fn by_value(cart: Cart) -> String {
    cart.items.len().to_string()
}

#[session]
async fn beside_another(mut cart: Cart, id: Path<u32>) -> String {
    cart.items.push(*id);
    String::new()
}

struct NotRead {
    _text: String,
}

// The form is an extractor. What it reads is none.
#[session]
async fn form_of_another_type(form: Form<NotRead>, id: Path<u32>) -> String {
    drop(form);
    id.to_string()
}

fn main() {}
