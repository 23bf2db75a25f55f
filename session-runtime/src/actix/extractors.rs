//! The extractors of a handler, run after its gate has admitted the request.

use std::future::Future;
use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse};

use super::call::{Call, Request};
use super::csrf;
use super::saved::{Saved, Saving};
use super::wording::word;

/// The types of a handler's extractors, each as its result: `(Result<A, A::Error>, (Result<B, B::Error>, ()))`.
///
/// The result of a type that is no extractor is unknown to the compiler. The error at the type is then the only one:
/// nothing is said where the extractors run.
#[derive(Debug)]
pub struct Extractors<L>(PhantomData<fn() -> L>);

impl Extractors<()> {
    /// No extractors.
    pub const NONE: Self = Self(PhantomData);
}

/// An extractor of actix-web. The trait only has the compiler's message for a parameter that is no extractor.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no extractor",
    label = "not a `FromRequest`",
    note = "a view of the session is lent: write `&mut {Self}` or `&{Self}`"
)]
pub trait Extractor: FromRequest {}

impl<E: FromRequest> Extractor for E {}

/// The result of an extractor.
type Extracted<E> = <<E as FromRequest>::Future as Future>::Output;

impl<L> Extractors<L> {
    /// Does nothing. The compiler's error at a type that is no extractor comes from here, because it says which one.
    #[must_use]
    pub fn check<E: Extractor>(self) -> Self {
        self
    }

    /// Puts one more before the others.
    #[must_use]
    pub fn and<E: FromRequest>(self) -> Extractors<(Extracted<E>, L)> {
        Extractors(PhantomData)
    }
}

/// A list of extractors.
pub trait ExtractorList {
    /// Nested pairs, `(A, (B, (C, ())))`. actix-web creates all of them before it polls one, and polls them side by
    /// side, as the parameters of a handler.
    type All: FromRequest + 'static;
}

impl ExtractorList for () {
    type All = ();
}

impl<E: FromRequest + 'static, X, L: ExtractorList> ExtractorList for (Result<E, X>, L) {
    type All = (E, L::All);
}

/// Runs extractors. The response of one that fails is the same as without the attribute.
async fn extract<T: FromRequest>(
    request: &HttpRequest,
    payload: &mut Payload,
) -> Result<T, HttpResponse> {
    let extracted = T::from_request(request, payload).await;
    extracted.map_err(HttpResponse::from_error)
}

impl Call {
    /// Runs the extractors of the handler.
    ///
    /// # Errors
    /// The finished response: of an extractor that failed, or to a visitor whom an extractor logged out.
    pub async fn extract<L: ExtractorList, R>(
        &mut self,
        _: Extractors<L>,
    ) -> Result<L::All, Saved<R>> {
        let extracted = extract::<L::All>(&self.request, &mut self.body.payload).await;
        // An extractor may have logged the visitor out since the gate.
        let visitor = self
            .gate
            .check_visitor(&self.request, &self.connection.visit);
        let response = match (extracted, visitor) {
            (Ok(extracted), Ok(())) => return Ok(extracted),
            (Ok(_), Err(refusal)) => refusal.into_response(),
            (Err(response), _) => response,
        };
        let visit = self.connection.close();
        Err(Saving::new(visit, self.request.clone(), response).await)
    }
}

impl Request {
    /// Runs the extractors of a handler that names its service by one of them.
    ///
    /// # Errors
    /// The finished response of an extractor that failed.
    pub async fn extract<L: ExtractorList, R>(
        &mut self,
        _: Extractors<L>,
    ) -> Result<L::All, Saved<R>> {
        let extracted = extract::<L::All>(&self.request, &mut self.body.payload).await;
        extracted.map_err(|mut response| {
            word(&mut response, &self.request);
            Saved::of(response)
        })
    }

    /// Reads the beginning of the body before the extractors take it, if it may have a CSRF token in it.
    pub async fn look_ahead(&mut self) {
        if csrf::may_need_form(&self.request) {
            self.body.look_ahead().await;
        }
    }
}
