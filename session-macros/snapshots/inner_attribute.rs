#[session]
async fn lenient() -> String {
    //! Says little.
    #![allow(clippy::needless_return)]
    return String::new();
}
