//! The body of an error's response: a sentence of plain text, or a problem in JSON.

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    Accept, CONTENT_TYPE, ContentType, Header, HeaderName, HeaderValue, LOCATION, Quality,
    SET_COOKIE, VARY,
};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde_json::{Value, json};

use super::asking::is_htmx;
use super::refusals::Refusals;
use crate::error::Error;

const PROBLEM: &str = "application/problem+json";
const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

/// Marks a response that was made without the request. It is worded as soon as the library has both.
struct Unworded {
    login_page: Option<String>,
}

/// Returns the response that fits every request: the sentence.
pub(super) fn plain(error: &Error) -> HttpResponse {
    let mut response = text(error);
    to_be_worded(&mut response, None);
    response
}

/// Marks a response as one that is still to be worded, with the login page to which it leads.
pub(super) fn to_be_worded(response: &mut HttpResponse, login_page: Option<String>) {
    response.extensions_mut().insert(Unworded { login_page });
}

/// Returns the response to an error, in the words that fit the request.
pub(super) fn wording(error: &Error, login_page: Option<&str>, req: &HttpRequest) -> HttpResponse {
    let mut response = match req.app_data::<Refusals>() {
        Some(refusals) => refusals.answer(error, login_page, req),
        None => usual(error, login_page, req),
    };
    response.extensions_mut().remove::<Unworded>();
    if let Some(page) = login_page {
        lead_to(page, &mut response, req);
    }
    response
}

/// Names the login page in the headers of a 401, for clients that do not follow a redirect by themselves.
fn lead_to(page: &str, response: &mut HttpResponse, req: &HttpRequest) {
    let Ok(page) = HeaderValue::from_str(page) else {
        return;
    };
    let is_refusal = response.status() == StatusCode::UNAUTHORIZED;
    if !is_refusal || response.headers().contains_key(LOCATION) {
        return;
    }
    if is_htmx(req) {
        response.headers_mut().insert(HX_REDIRECT, page.clone());
    }
    response.headers_mut().insert(LOCATION, page);
}

/// Words a response that holds an error, unless that was done already.
#[cold]
pub(super) fn word(response: &mut HttpResponse, req: &HttpRequest) {
    if let Some(words) = words_for(response, req) {
        let unworded = std::mem::replace(response, HttpResponse::new(words.status()));
        *response = put(words, unworded);
    }
}

/// Returns the words that a response still needs.
#[cold]
pub(super) fn words_for<B: MessageBody>(
    response: &HttpResponse<B>,
    req: &HttpRequest,
) -> Option<HttpResponse> {
    let error = Error::in_response(response)?;
    let login_page = {
        let extensions = response.extensions();
        extensions.get::<Unworded>()?.login_page.clone()
    };
    // A middleware between here and the error may have given it another body, or compressed it.
    let BodySize::Sized(size) = response.body().size() else {
        return None;
    };
    (size == sentence(error).len() as u64).then(|| wording(error, login_page.as_deref(), req))
}

/// Puts words into a response, which keeps its error and its other headers.
pub(super) fn put<B>(words: HttpResponse, response: HttpResponse<B>) -> HttpResponse<BoxBody> {
    let (words, body) = words.into_parts();
    let mut response = response.set_body(body);
    response.extensions_mut().remove::<Unworded>();
    *response.status_mut() = words.status();
    let headers = response.headers_mut();
    headers.remove(CONTENT_TYPE);
    let adds_up = |name: &HeaderName| name == SET_COOKIE || name == VARY;
    for name in words.headers().keys().filter(|name| !adds_up(name)) {
        headers.remove(name);
    }
    for (name, value) in words.headers() {
        headers.append(name.clone(), value.clone());
    }
    response
}

/// Returns the library's own response to an error.
pub(super) fn usual(error: &Error, login_page: Option<&str>, req: &HttpRequest) -> HttpResponse {
    if !prefers_json(req) {
        return text(error);
    }
    let problem = problem(error, login_page).to_string();
    HttpResponse::build(error.status_code())
        .content_type(PROBLEM)
        .body(problem)
}

fn text(error: &Error) -> HttpResponse {
    HttpResponse::build(error.status_code())
        .content_type(ContentType::plaintext())
        .body(sentence(error))
}

/// The members of RFC 9457, without `type`, which means `about:blank`. Then the title is that of the status.
fn problem(error: &Error, login_page: Option<&str>) -> Value {
    let status = error.status_code();
    let mut problem = json!({
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": sentence(error),
    });
    if let Some(page) = login_page {
        problem["location"] = page.into();
    }
    problem
}

/// The sentence for the client. It gives no cause: the log has that.
fn sentence(error: &Error) -> &'static str {
    match error {
        Error::LoginTooOld => "Please log in again: your last login is too long ago.",
        Error::CrossSite { .. } => {
            "This request was refused, because a page of another site may have sent it."
        }
        Error::TooManySessions { .. } => {
            "You are logged in too many times: please log out somewhere else first."
        }
        other => match other.status_code() {
            StatusCode::UNAUTHORIZED => "Please log in first.",
            StatusCode::FORBIDDEN => "You do not have the right to do this.",
            StatusCode::SERVICE_UNAVAILABLE => {
                "The service is not available just now: please try again in a moment."
            }
            _ => "The server could not answer this request because of a fault in it.",
        },
    }
}

/// True if the client names JSON in `Accept` and does not prefer text. `*/*` alone names nothing.
fn prefers_json(req: &HttpRequest) -> bool {
    let Ok(Accept(accepted)) = Accept::parse(req) else {
        return false;
    };
    let (mut json, mut text) = (Quality::ZERO, Quality::ZERO);
    for accepted in accepted {
        let (media, quality) = (accepted.item, accepted.quality);
        let is_json = media.subtype() == "json" || media.suffix().is_some_and(|it| it == "json");
        if media.type_() == "application" && is_json {
            json = json.max(quality);
        } else if media.type_() == "text" && media.subtype() != "javascript" {
            text = text.max(quality);
        }
    }
    json > Quality::ZERO && json >= text
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn json_goes_to_clients_that_name_it_and_prefer_no_text() {
        for (accept, json) in [
            ("application/json", true),
            ("application/problem+json", true),
            ("application/vnd.api+json", true),
            ("Application/JSON; charset=utf-8; q=0.5", true),
            // axios, Angular, and jQuery for JSON.
            ("application/json, text/plain, */*", true),
            ("application/json, text/javascript, */*; q=0.01", true),
            ("text/html;q=0.8, application/json", true),
            ("text/html, application/json", true),
            ("text/html, application/json;q=0.9", false),
            ("application/json;q=0.1, text/*;q=0.2", false),
            ("application/json;q=0", false),
            ("application/json;q=0, text/html;q=0", false),
            ("*/*", false),
            ("text/plain", false),
            ("text/json", false),
            ("image/json", false),
            ("application/jsonp", false),
            // Chromium and Firefox.
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
                false,
            ),
            ("text/html, application/xhtml+xml", false),
            ("", false),
            ("nonsense", false),
            ("nonsense, application/json", true),
        ] {
            let req = TestRequest::default()
                .insert_header(("accept", accept))
                .to_http_request();
            assert_eq!(prefers_json(&req), json, "{accept}");
        }
        assert!(!prefers_json(&TestRequest::default().to_http_request()));
        let req = TestRequest::default()
            .append_header(("accept", "text/html;q=0.5"))
            .append_header(("accept", "application/json;q=0.6"))
            .to_http_request();
        assert!(prefers_json(&req), "both lines count");
    }
}
