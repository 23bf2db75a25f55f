async fn admin(
    mut __call: ::bsession::__private::OnlyActixWebCallsThis,
    services: Data<Services>,
) {
    let __session = __call.session();
    let __response = (async move |session: &mut _| -> _ {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<()> {
            return __r;
        }
        let session: &mut ::bsession::Session = session;
        let _ = &session;
        {
            session["n"] = 1.into();
        }
    })(__session)
        .await;
}
::core::compile_error! {
    "a handler returns a response: write `-> impl Responder`"
}
