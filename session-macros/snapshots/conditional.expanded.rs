async fn conditional(
    (id, mut __call): (Path<u32>, ::bsession::__private::Call),
    #[cfg(unix)]
    system: Data<System>,
) -> ::bsession::__private::Saved<String> {
    let __session: &mut ::bsession::Session = __call.session();
    let __response = async move {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<
            String,
        > {
            return __r;
        }
        let session = __session;
        let _ = &session;
        { id.to_string() }
    }
        .await;
    __call.save(__response).await
}
