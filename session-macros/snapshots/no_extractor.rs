#[session]
async fn index() -> HttpResponse {
    HttpResponse::Ok().finish()
}
