pub struct Plain {
    field: u32,
}
::core::compile_error! {
    "there is no `purged`: did you mean `purge`?"
}
::core::compile_error! {
    "expected `async fn`: `#[session]` goes above a handler"
}
