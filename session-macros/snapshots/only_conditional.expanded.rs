async fn only_conditional(
    mut __call: ::bsession::__private::OnlyActixWebCallsThis,
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
        { String::new() }
    }
        .await;
    __call.save(__response).await
}
