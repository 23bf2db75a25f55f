pub struct Plain {
    field: u32,
}
::core::compile_error! {
    "expected `#[session]` or `#[session(purge)]`"
}
::core::compile_error! {
    "expected `async fn`: `#[session]` goes above a handler"
}
