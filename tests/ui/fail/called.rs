// A session handler is not called; what handlers share takes `&mut Session`.

use actix_web::web::Path;
use bsession::session;

#[session]
async fn show(id: Path<u32>) -> String {
    id.to_string()
}

#[session]
async fn show_first() -> String {
    show(Path::from(1)).await
}

#[session]
async fn name() -> String {
    String::from("joe")
}

#[session]
async fn greet() -> String {
    format!("hello {}", name().await.into_response().status())
}

fn main() {
    drop((show_first, greet));
}
