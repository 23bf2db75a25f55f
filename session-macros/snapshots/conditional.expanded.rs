async fn conditional(
    (mut __call, id): (::bsession::__private::OnlyActixWebCallsThis, Path<u32>),
    #[cfg(unix)]
    system: Data<System>,
) -> ::bsession::__private::Saved<String> {
    let __session = __call.session();
    let __response = async move {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<
            String,
        > {
            return __r;
        }
        let session: &mut ::bsession::Session = __session;
        let _ = &session;
        { id.to_string() }
    }
        .await;
    __call.save(__response).await
}
