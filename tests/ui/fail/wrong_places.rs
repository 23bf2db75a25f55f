// What is given to actix-web in another place than the one it is for.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpResponse, web};
use bsession::{Builder, Gate, Session, Sessions};

// A service goes into `app_data`. No middleware is needed.
fn service_as_middleware(sessions: Sessions) {
    let _ = App::new().wrap(sessions);
}

fn builder_as_middleware(builder: Builder) {
    let _ = App::new().wrap(builder);
}

// A gate is middleware: `wrap`.
fn gate_as_guard() {
    let _ = web::scope("/admin").guard(Gate::new().require());
}

// Only `#[session]` lends a session. Elsewhere `Connection` is the extractor.
async fn session_in_a_handler(session: Session) -> HttpResponse {
    HttpResponse::Ok().body(session["key"].to_string())
}

fn registered() {
    let _ = web::get().to(session_in_a_handler);
}

async fn session_in_middleware(
    _session: Session,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
    next.call(request).await
}

fn wrapped() {
    let _ = App::new().wrap(from_fn(session_in_middleware));
}

fn main() {}
