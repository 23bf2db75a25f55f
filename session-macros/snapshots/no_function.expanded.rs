pub struct Plain {
    field: u32,
}
::core::compile_error! {
    "expected one of: `csrf`, `fresh`, `lock`, `purge`, `readonly`, `realm`, `redirect`, `renew`, `require`"
}
::core::compile_error! {
    "expected `async fn`: `#[session]` goes above a handler"
}
