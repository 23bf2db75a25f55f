pub(crate) async fn generic<'a, T, const N: usize>(
    mut __call: ::bsession::__private::OnlyActixWebCallsThis,
) -> ::bsession::__private::Saved<
    Result<(impl Responder + use<'a, T, N>, StatusCode), Box<dyn Fail<By = impl Debug>>>,
>
where
    T: Default + 'a,
{
    let __extractors = ::bsession::__private::Extractors::NONE;
    let __extractors = __extractors
        .check::<Data<State<'a, T, N>>>()
        .and::<Data<State<'a, T, N>>>();
    let __extractors = __extractors
        .check::<Query<(u32, u32)>>()
        .and::<Query<(u32, u32)>>();
    let __extracted = match __call.extract(__extractors).await {
        ::core::result::Result::Ok(__extracted) => __extracted,
        ::core::result::Result::Err(__refused) => return __refused,
    };
    let (__extractor, __extracted) = __extracted;
    let Query((first, _)) = __extractor;
    let (__extractor, __extracted) = __extracted;
    #[allow(unused_variables)]
    let state = __extractor;
    let __session = __call.session();
    let __response = (async move |session: &mut _| -> _ {
        if let ::core::option::Option::Some(__r) = ::core::option::Option::None::<
            Result<(_, StatusCode), Box<dyn Fail<By = _>>>,
        > {
            return __r;
        }
        let session: &mut ::bsession::Session = session;
        let _ = &session;
        { Ok((T::default(), StatusCode::OK)) }
    })(__session)
        .await;
    __call.save(__response).await
}
