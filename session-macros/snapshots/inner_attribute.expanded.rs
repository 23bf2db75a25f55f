/// Says little.
#[allow(clippy::needless_return)]
async fn lenient(
    mut __call: ::bsession::__private::OnlyActixWebCallsThis,
) -> ::bsession::__private::Saved<String> {
    let __session = __call.session();
    let __response = (async move |session: &mut _| -> _ {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<
            String,
        > {
            return __r;
        }
        let session: &mut ::bsession::Session = session;
        let _ = &session;
        {
            return String::new();
        }
    })(__session)
        .await;
    __call.save(__response).await
}
