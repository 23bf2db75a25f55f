//! `Set-Cookie`: whatever settings the builder takes, a browser reads from the header exactly them,
//! and keeps the cookie no shorter than the session lasts.

use std::time::{Duration, SystemTime};

use actix_web::cookie::Cookie;
use actix_web::http::header::{COOKIE, HOST, SET_COOKIE};
use actix_web::{FromRequest, test::TestRequest};
use bsession::{Connection, SameSite, Secure, Sessions};
use proptest::option;
use proptest::prelude::*;

use super::for_all;
use crate::support::SECRET;

const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);

#[derive(Clone, Debug)]
struct Settings {
    name: String,
    path: String,
    domain: Option<String>,
    same_site: SameSite,
    secure: Secure,
    partitioned: bool,
    idle: Duration,
    lifetime: Option<Duration>,
    browser_session: bool,
    /// Set by the handler, for this session alone.
    own_idle: Option<Duration>,
    loopback: bool,
}

impl Settings {
    fn build(&self) -> Result<Sessions, bsession::InitError> {
        let mut builder = Sessions::builder(SECRET)
            .cookie_name(&*self.name)
            .path(&*self.path)
            .same_site(self.same_site)
            .secure(self.secure)
            .partitioned(self.partitioned)
            .idle(self.idle)
            .browser_session(self.browser_session);
        if let Some(domain) = &self.domain {
            builder = builder.domain(&**domain);
        }
        if let Some(lifetime) = self.lifetime {
            builder = builder.lifetime(lifetime);
        }
        builder.build()
    }
}

/// What a browser keeps of a `Set-Cookie`.
#[derive(Debug, Default, PartialEq)]
struct Kept {
    name: String,
    value: String,
    path: Option<String>,
    domain: Option<String>,
    same_site: String,
    secure: bool,
    partitioned: bool,
    http_only: bool,
    max_age: Option<u64>,
}

impl Kept {
    /// Reads a `Set-Cookie` by the algorithm of RFC 6265bis §5.6, and drops what §5.7 drops
    /// whatever the connection.
    fn read(header: &str) -> Option<Self> {
        let space = |char| char == ' ' || char == '\t';
        if header.chars().any(|char| char.is_control() && char != '\t') {
            return None;
        }
        let mut parts = header.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let mut kept = Self {
            name: name.trim_matches(space).to_owned(),
            value: value.trim_matches(space).to_owned(),
            ..Self::default()
        };
        for attribute in parts {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let value = value.trim_matches(space);
            match name.trim_matches(space).to_ascii_lowercase().as_str() {
                _ if value.len() > 1024 => {}
                "path" => kept.path = Some(value.to_owned()).filter(|path| path.starts_with('/')),
                "domain" => {
                    let domain = value.strip_prefix('.').unwrap_or(value);
                    kept.domain = Some(domain.to_ascii_lowercase());
                }
                "samesite" => kept.same_site = value.to_ascii_lowercase(),
                "secure" => kept.secure = true,
                "partitioned" => kept.partitioned = true,
                "httponly" => kept.http_only = true,
                "max-age" => kept.max_age = Some(value.parse::<u64>().ok()?.min(LONGEST.as_secs())),
                _ => {}
            }
        }
        kept.is_kept().then_some(kept)
    }

    fn is_kept(&self) -> bool {
        let prefixed = |prefix: &str| {
            let start = self.name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let prefixes = ["__Secure-", "__Host-", "__Http-"];
        let is_host = |domain: &String| {
            let is_label = |label: &str| {
                (1..=63).contains(&label.len())
                    && label
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            };
            domain.len() <= 253 && domain.split('.').all(is_label)
        };
        !self.name.is_empty()
            && self.name.len() + self.value.len() <= 4096
            && self.domain.as_ref().is_none_or(is_host)
            && (self.secure || !self.partitioned)
            && (self.secure || self.same_site != "none" && !prefixes.into_iter().any(prefixed))
            && (!prefixed("__Host-") || self.domain.is_none() && self.path.as_deref() == Some("/"))
    }

    fn read_by_library(header: &str) -> Self {
        let cookie = Cookie::parse(header).expect("a cookie");
        let same_site = cookie
            .same_site()
            .map_or(String::new(), |same_site| same_site.to_string());
        Self {
            name: cookie.name().to_owned(),
            value: cookie.value().to_owned(),
            path: cookie.path().map(str::to_owned),
            domain: cookie.domain().map(str::to_ascii_lowercase),
            same_site: same_site.to_ascii_lowercase(),
            secure: cookie.secure() == Some(true),
            partitioned: header.ends_with("; Partitioned"), // it does not know the attribute
            http_only: cookie.http_only() == Some(true),
            max_age: cookie
                .max_age()
                .map(|span| span.whole_seconds().unsigned_abs()),
        }
    }
}

/// The `Set-Cookie` of a request, and when its session ends.
async fn visit(
    sessions: &Sessions,
    settings: &Settings,
    token: Option<&str>,
    purge: bool,
) -> (Option<String>, Option<SystemTime>) {
    let host = if settings.loopback {
        "localhost:8080"
    } else {
        "example.org"
    };
    let mut request = TestRequest::default()
        .app_data(sessions.clone())
        .insert_header((HOST, host));
    if let Some(token) = token {
        request = request.insert_header((COOKIE, format!("{}={token}", settings.name)));
    }
    let request = request.to_http_request();
    let mut connection = Connection::extract(&request).await.expect("it works");
    let session = connection.session();
    let ends = session.expires_at();
    match token {
        _ if purge => session.purge(),
        Some(_) => {}
        None => {
            session["key"] = 1.into();
            if let Some(idle) = settings.own_idle {
                session.set_idle(idle);
            }
        }
    }
    let response = connection.respond(&request, "done").await.into_response();
    let mut headers = response.headers().get_all(SET_COOKIE);
    let header = headers
        .next()
        .map(|header| header.to_str().expect("text").to_owned());
    assert!(headers.next().is_none(), "one at most");
    (header, ends)
}

async fn check(settings: &Settings) {
    // What cannot be kept is refused with a word on it.
    let Ok(sessions) = settings.build() else {
        return;
    };
    let (header, _) = visit(&sessions, settings, None, false).await;
    let received = SystemTime::now();
    let header = header.expect("a new session has a cookie");
    let kept = Kept::read(&header).unwrap_or_else(|| panic!("a browser drops {header}"));
    assert_eq!(Kept::read_by_library(&header), kept);

    let domain = settings
        .domain
        .as_ref()
        .map(|domain| domain.to_ascii_lowercase());
    let domain = domain.map(|domain| domain.strip_prefix('.').unwrap_or(&domain).to_owned());
    let expected = Kept {
        name: settings.name.clone(),
        value: kept.value.clone(),
        path: Some(settings.path.clone()),
        domain,
        same_site: settings.same_site.to_string().to_ascii_lowercase(),
        secure: match settings.secure {
            // That one without it is kept all the same is seen above.
            Secure::Auto if settings.loopback => kept.secure,
            other => other != Secure::Never,
        },
        partitioned: settings.partitioned,
        http_only: true,
        max_age: kept.max_age,
    };
    assert_eq!(kept, expected);
    assert_eq!(kept.value.len(), 64);

    let (again, ends) = visit(&sessions, settings, Some(&kept.value), false).await;
    let ends = ends.expect("what the browser kept is the session");
    assert_eq!(again, None, "it is told once");
    assert_eq!(
        kept.max_age.is_none(),
        settings.browser_session && settings.own_idle.is_none()
    );
    if let Some(seconds) = kept.max_age {
        assert!(header.contains(&format!("Max-Age={seconds}")) && seconds <= LONGEST.as_secs());
        assert!(
            received + Duration::from_secs(seconds) >= ends,
            "{header}: it outlasts {ends:?}"
        );
    }

    let (removal, _) = visit(&sessions, settings, Some(&kept.value), true).await;
    let removal = Kept::read(&removal.expect("a removal")).expect("a browser heeds it");
    let expected = Kept {
        value: String::new(),
        max_age: Some(0),
        ..kept
    };
    assert_eq!(removal, expected);
}

/// Mostly what is meant for it, and what lies beside that.
fn settings() -> impl Strategy<Value = Settings> {
    let name = prop_oneof![
        4 => "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}",
        2 => "__([Hh]ost-|[sS]ecure-|[hH]ttp-|Host-Http-|H)[a-z]{0,4}",
        1 => "[ -~\\t]{0,4}",
        1 => (4000..4100_usize).prop_map(|len| "n".repeat(len)),
    ];
    let path = prop_oneof![
        4 => Just("/".to_owned()),
        4 => "/[ -~]{0,6}",
        1 => "[ -~\\r\\n\\t]{0,4}",
        1 => (1000..1050_usize).prop_map(|len| "/".repeat(len)),
    ];
    let domain = prop_oneof![
        3 => "\\.?([A-Za-z0-9-]{1,5}\\.){1,3}[a-z]{2}",
        1 => "[a.;, -]{0,5}",
        1 => (60..260_usize).prop_map(|len| "d".repeat(len)),
    ];
    let same_site = prop::sample::select(&[SameSite::Strict, SameSite::Lax, SameSite::None][..]);
    let secure = prop::sample::select(&[Secure::Auto, Secure::Always, Secure::Never][..]);
    let span = || {
        prop_oneof![
            (1000..LONGEST.as_millis() as u64 + 2000).prop_map(Duration::from_millis),
            (900..70_000_u64).prop_map(Duration::from_millis),
            Just(LONGEST),
        ]
    };
    (
        (name, path, option::weighted(0.3, domain)),
        (same_site, secure, any::<bool>()),
        (
            span(),
            option::of(span()),
            any::<bool>(),
            option::of(span()),
            any::<bool>(),
        ),
    )
        .prop_map(
            |((name, path, domain), (same_site, secure, partitioned), times)| {
                let (idle, lifetime, browser_session, own_idle, loopback) = times;
                Settings {
                    name,
                    path,
                    domain,
                    same_site,
                    secure,
                    partitioned: partitioned && same_site == SameSite::None,
                    idle,
                    lifetime,
                    browser_session,
                    own_idle,
                    loopback,
                }
            },
        )
}

#[test]
fn a_browser_reads_the_settings_and_keeps_the_cookie_as_long_as_the_session() {
    let system = actix_web::rt::System::new();
    for_all(&settings(), |settings| system.block_on(check(&settings)));
}
