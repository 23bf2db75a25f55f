#[session(purged)]
pub struct Plain {
    field: u32,
}
