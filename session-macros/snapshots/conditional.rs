#[session]
async fn conditional(id: Path<u32>, #[cfg(unix)] system: Data<System>) -> String {
    id.to_string()
}
