async fn index(
    mut __call: ::bsession::__private::OnlyActixWebCallsThis,
) -> ::bsession::__private::Saved<HttpResponse> {
    let __session = __call.session();
    let __response = (async move |session: &mut _| -> _ {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<
            HttpResponse,
        > {
            return __r;
        }
        let session: &mut ::bsession::Session = session;
        let _ = &session;
        { HttpResponse::Ok().finish() }
    })(__session)
        .await;
    __call.save(__response).await
}
