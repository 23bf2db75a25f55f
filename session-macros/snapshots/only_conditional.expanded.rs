async fn only_conditional(
    #[cfg(unix)]
    system: Data<System>,
    mut __call: ::bsession::__private::Call,
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
        { String::new() }
    }
        .await;
    __call.save(__response).await
}
