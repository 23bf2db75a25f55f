/// Ends the session.
#[post("/logout")]
pub async fn logout(
    (mut __call, _): (::bsession::__private::OnlyActixWebCallsThis, HttpRequest),
    mut form: Form<Leave>,
) -> ::bsession::__private::Saved<impl Responder> {
    if let ::core::option::Option::Some(__refused) = __call
        .admit(::bsession::__private::Gate::NONE.purge())
        .await
    {
        return __refused;
    }
    let __session = __call.session();
    let __response = async move {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<_> {
            return __r;
        }
        let session: &mut ::bsession::Session = __session;
        let _ = &session;
        { Redirect::to(form.next.take()).see_other() }
    }
        .await;
    __call.save(__response).await
}
