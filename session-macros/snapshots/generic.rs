#[session]
pub(crate) async fn generic<'a, T, const N: usize>(
    Query((first, _)): Query<(u32, u32)>,
    #[allow(unused_variables)] state: Data<State<'a, T, N>>,
) -> Result<(impl Responder + use<'a, T, N>, StatusCode), Box<dyn Fail<By = impl Debug>>>
where
    T: Default + 'a,
{
    Ok((T::default(), StatusCode::OK))
}
