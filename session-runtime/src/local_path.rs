//! The local path: a redirect target that cannot leave this site.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;

/// A path of this site, such as `/orders?page=2`: a target for the redirect after a login, from any source.
///
/// A `next` in a form or a link may come from anybody. An unchecked redirect to it is an *open redirect*: a link with
/// the name of this site leads to a stranger's site. A `LocalPath` cannot leave the site. It begins with exactly one
/// `/`, and it contains nothing that a browser strips, corrects or reads as another host
/// ([WHATWG URL](https://url.spec.whatwg.org/#url-parsing)). Any path that a browser requests from this site is a
/// `LocalPath`, unless it begins with `//` or contains a backslash.
///
/// Serde reads anything else as `/`, the default, so that no visitor is refused because of a bad path.
///
/// ```
/// use actix_web::{HttpRequest, Responder, get, post, web::{Form, Html, Query, Redirect}};
/// use bsession::{LocalPath, session};
///
/// #[derive(serde::Deserialize)]
/// struct Next {
///     #[serde(default)]
///     next: LocalPath,
/// }
///
/// #[get("/login")] // as `/login?next=/orders`
/// async fn login_page(query: Query<Next>) -> impl Responder {
///     let next = query.next.as_str().replace('&', "&amp;"); // it never contains `"`, but it may contain `'`
///     Html::new(format!(
///         r#"<form method="post" action="/login">
///             <input name="name"><input type="hidden" name="next" value="{next}"><button>Log in</button>
///         </form>"#
///     ))
/// }
///
/// #[derive(serde::Deserialize)]
/// struct Login {
///     name: String,
///     #[serde(default)]
///     next: LocalPath,
/// }
///
/// #[post("/login")]
/// #[session(csrf)]
/// async fn login(form: Form<Login>) -> impl Responder {
///     let Login { name, next } = form.into_inner();
///     // … check the password first …
///     session.login(name);
///     Redirect::to(next).see_other()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalPath(Cow<'static, str>);

/// The error for a text that is not a [`LocalPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a path of this site, as in `/orders?page=2`: encoded, and without a second `/` at its start or a `\\`"
)]
#[non_exhaustive]
pub struct NotLocal;

impl LocalPath {
    /// The path as text: visible ASCII without `"`, `<`, `>` and `\`, and therefore a valid header value.
    ///
    /// It may contain `&` and `'`. In HTML, put it between double quotes, or escape it like any other text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// True for a local path.
///
/// Browsers strip tabs and line ends everywhere, strip spaces at both ends, and read a backslash as a slash. They
/// encode double quotes and angle brackets, so a text that contains them does not come from a browser.
fn is_local(text: &str) -> bool {
    let harmless =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>');
    text.starts_with('/') && !text.starts_with("//") && text.bytes().all(harmless)
}

/// The URL to which a visitor is sent to log in: `target` with the path as its parameter `next`.
pub(crate) fn with_next(target: &str, next: &LocalPath) -> String {
    let (target, fragment) = target.split_at(target.find('#').unwrap_or(target.len()));
    let join = if target.contains('?') { '&' } else { '?' };
    let next: String = form_urlencoded::byte_serialize(next.as_str().as_bytes()).collect();
    format!("{target}{join}next={next}{fragment}")
}

/// The path `/`.
impl Default for LocalPath {
    fn default() -> Self {
        Self(Cow::Borrowed("/"))
    }
}

impl TryFrom<String> for LocalPath {
    type Error = NotLocal;

    fn try_from(text: String) -> Result<Self, NotLocal> {
        is_local(&text).then_some(Self(text.into())).ok_or(NotLocal)
    }
}

impl TryFrom<&str> for LocalPath {
    type Error = NotLocal;

    fn try_from(text: &str) -> Result<Self, NotLocal> {
        text.parse()
    }
}

impl FromStr for LocalPath {
    type Err = NotLocal;

    fn from_str(text: &str) -> Result<Self, NotLocal> {
        text.to_owned().try_into()
    }
}

impl From<LocalPath> for Cow<'static, str> {
    fn from(path: LocalPath) -> Self {
        path.0
    }
}

impl From<LocalPath> for String {
    fn from(path: LocalPath) -> Self {
        path.0.into_owned()
    }
}

impl fmt::Display for LocalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for LocalPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Reads anything that is not a local path as `/`.
impl<'de> Deserialize<'de> for LocalPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(value
            .as_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> LocalPath {
        text.parse().expect(text)
    }

    #[test]
    fn paths_of_this_site_are_taken_as_they_are() {
        for text in [
            "/",
            "/orders?page=2&sort=a,b#last",
            "/a//b",
            "/view/https://example.org/",
            "/@someone/~x/a;b='c'",
            "/caf%C3%A9%20%5C?q=a+b|c`{}",
            "/?next=//evil.example",
        ] {
            assert_eq!(path(text).as_str(), text);
            assert_eq!(json!(path(text)), text);
            assert_eq!(LocalPath::deserialize(json!(text)).ok(), Some(path(text)));
        }
    }

    #[test]
    fn what_leaves_the_site_or_may_be_read_so_is_none() {
        for text in [
            "",
            "orders",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/a\\b",
            "/\t/evil.example",
            "/\n/evil.example",
            "/\r/evil.example",
            "/\u{b}/evil.example",
            "/\0/evil.example",
            "\t//evil.example",
            " //evil.example",
            " /orders",
            "/orders ",
            "/or ders",
            "/caf\u{e9}",
            "/\u{2f}\u{ff0f}evil.example",
            "/\u{ff0f}evil.example",
            "/\u{7f}",
            "/\"><script>",
            "/a\r\nSet-Cookie: b=c",
            "https://evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            "?a",
            "#a",
            ".",
        ] {
            assert_eq!(text.parse::<LocalPath>(), Err(NotLocal), "{text:?}");
            assert_eq!(LocalPath::try_from(text.to_owned()), Err(NotLocal));
            assert_eq!(LocalPath::deserialize(json!(text)).ok(), Some(path("/")));
        }
    }

    #[test]
    fn what_is_no_text_at_all_is_the_front_page() {
        for value in [
            json!(null),
            json!(7),
            json!(true),
            json!(["/a"]),
            json!({"/a": 1}),
        ] {
            assert_eq!(
                LocalPath::deserialize(value).ok(),
                Some(LocalPath::default())
            );
        }
    }

    #[test]
    fn a_login_page_is_told_where_to_go_next() {
        let next = path("/orders?page=2&a=%20+'#last");
        for (target, start, end) in [
            ("/login", "/login?next=", ""),
            ("/login?lang=de", "/login?lang=de&next=", ""),
            ("/login#form", "/login?next=", "#form"),
            ("/login?lang=de#a?b", "/login?lang=de&next=", "#a?b"),
        ] {
            let url = with_next(target, &next);
            let value = url
                .strip_prefix(start)
                .and_then(|rest| rest.strip_suffix(end));
            let value = value.expect("before a fragment, behind a query");
            assert!(
                value
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"%-._*+".contains(&byte)),
                "{value}"
            );
            let read = form_urlencoded::parse(value.as_bytes())
                .next()
                .expect("a text");
            assert_eq!(read.0, next.as_str());
        }
    }
}
