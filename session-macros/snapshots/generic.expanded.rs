pub(crate) async fn generic<'a, T, const N: usize>(
    Query((first, _)): Query<(u32, u32)>,
    #[allow(unused_variables)]
    (state, mut __call): (Data<State<'a, T, N>>, ::bsession::__private::Call),
) -> ::bsession::__private::Saved<
    Result<(impl Responder + use<'a, T, N>, StatusCode), Box<dyn Fail<By = impl Debug>>>,
>
where
    T: Default + 'a,
{
    let __session: &mut ::bsession::Session = __call.session();
    let __response = async move {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<
            Result<(_, StatusCode), Box<dyn Fail<By = _>>>,
        > {
            return __r;
        }
        let session = __session;
        let _ = &session;
        { Ok((T::default(), StatusCode::OK)) }
    }
        .await;
    __call.save(__response).await
}
