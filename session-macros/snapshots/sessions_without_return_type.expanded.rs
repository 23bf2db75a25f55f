async fn admin(
    mut __call: ::bsession::__private::OnlyActixWebCallsThis,
    services: Data<Services>,
) {
    let __session = __call.session();
    let __response = async move {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<()> {
            return __r;
        }
        let session: &mut ::bsession::Session = __session;
        let _ = &session;
        {
            session["n"] = 1.into();
        }
    }
        .await;
}
::core::compile_error! {
    "a handler returns a response: write `-> impl Responder`"
}
