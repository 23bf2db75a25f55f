/// Ends the session.
#[post("/logout")]
pub async fn logout(
    _: HttpRequest,
    (mut form, mut __call): (Form<Leave>, ::bsession::__private::Call),
) -> ::bsession::__private::Saved<impl Responder> {
    __call.purge();
    let __session: &mut ::bsession::Session = __call.session();
    let __response = async move {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<_> {
            return __r;
        }
        let session = __session;
        let _ = &session;
        { Redirect::to(form.next.take()).see_other() }
    }
        .await;
    __call.save(__response).await
}
