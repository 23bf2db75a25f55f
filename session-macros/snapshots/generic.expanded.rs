pub(crate) async fn generic<'a, T, const N: usize>(
    (
        mut __call,
        Query((first, _)),
    ): (::bsession::__private::OnlyActixWebCallsThis, Query<(u32, u32)>),
    #[allow(unused_variables)]
    state: Data<State<'a, T, N>>,
) -> ::bsession::__private::Saved<
    Result<(impl Responder + use<'a, T, N>, StatusCode), Box<dyn Fail<By = impl Debug>>>,
>
where
    T: Default + 'a,
{
    let __session = __call.session();
    let __response = async move {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<
            Result<(_, StatusCode), Box<dyn Fail<By = _>>>,
        > {
            return __r;
        }
        let session: &mut ::bsession::Session = __session;
        let _ = &session;
        { Ok((T::default(), StatusCode::OK)) }
    }
        .await;
    __call.save(__response).await
}
