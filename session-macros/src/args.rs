//! The arguments in the parentheses of `#[session(..)]`.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Error, Expr, ExprLit, ExprPath, Lit, LitStr, Path, Token};

use crate::guess::{WORDS, meant};
use crate::root::Root;
use crate::span_of_time::milliseconds;

const EXPECTED_OF_REQUIRE: &str =
    "expected `require` (who is logged in) or `require = \"key\"` (whose session has that key)";
const EXAMPLE_OF_REDIRECT: &str = "redirect = \"/login\"";

/// The arguments, as far as they could be read. A `Span` is the place of a word that was given.
#[derive(Default)]
pub(crate) struct Args {
    /// The path of this library, where it is not `::bsession`.
    pub(crate) crate_path: Option<Path>,
    pub(crate) csrf: Option<Span>,
    pub(crate) fresh: Option<u64>,
    pub(crate) lock: Option<Span>,
    pub(crate) purge: Option<Span>,
    pub(crate) quiet: Option<Span>,
    pub(crate) readonly: Option<Span>,
    pub(crate) sessions: Option<Expr>,
    pub(crate) redirect: Option<Redirect>,
    pub(crate) renew: Option<Span>,
    /// `require` alone: a login.
    pub(crate) require: Option<Span>,
    /// `require = "key"`: a value under that key.
    pub(crate) require_key: Option<LitStr>,
    /// True if all of them could be read.
    pub(crate) is_whole: bool,
}

/// The path to which refused visitors are sent.
pub(crate) struct Redirect {
    pub(crate) word: Span,
    pub(crate) path: LitStr,
}

impl Args {
    /// Reads all arguments. An error in one argument does not hide the errors in those after it.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Vec<Error>) -> Self {
        let mut args = Self::default();
        let read = |input: ParseStream<'_>| {
            while !input.is_empty() {
                if let Err(error) = args.argument(input) {
                    errors.push(error);
                }
                skip_past_comma(input)?;
            }
            Ok(())
        };
        if let Err(error) = read.parse2(tokens) {
            errors.push(error);
        }
        args.is_whole = errors.is_empty();
        if args.is_whole {
            args.contradictions(errors);
        }
        args
    }

    /// True if the handler is only for logged-in users.
    pub(crate) fn has_user(&self) -> bool {
        self.require.is_some() || self.fresh.is_some()
    }

    /// The path of this library.
    pub(crate) fn root(&self) -> Root<'_> {
        Root(self.crate_path.as_ref())
    }

    fn argument(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        let word = input
            .call(Ident::parse_any)
            .map_err(|error| Error::new(error.span(), expected()))?;
        let at = word.span();
        match word.to_string().as_str() {
            "crate" => self.crate_path(&word, input),
            "csrf" => flag(&mut self.csrf, &word, input),
            "fresh" => {
                let value = milliseconds(&text(at, input, "fresh = \"15m\"")?)?;
                once(&mut self.fresh, &word, value)
            }
            "lock" => flag(&mut self.lock, &word, input),
            "purge" => flag(&mut self.purge, &word, input),
            "quiet" => flag(&mut self.quiet, &word, input),
            "readonly" => flag(&mut self.readonly, &word, input),
            "sessions" => {
                let value = service(at, input)?;
                once(&mut self.sessions, &word, value)
            }
            "redirect" => {
                let path = path(at, input)?;
                once(&mut self.redirect, &word, Redirect { word: at, path })
            }
            "renew" => flag(&mut self.renew, &word, input),
            "require" if is_over(input) => once(&mut self.require, &word, at),
            "require" => {
                let key = value(at, input, EXPECTED_OF_REQUIRE)?;
                once(&mut self.require_key, &word, key)
            }
            _ => Err(unknown(&word)),
        }
    }

    /// Reads the path of this library. A path that is written as a string is an error, but it is used: without it, every
    /// other line of the expansion would be an error, too.
    fn crate_path(&mut self, word: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        let expected = "expected `crate = path`, where `path` leads to this library, as in `crate = my_framework::bsession`";
        match without_group(value(word.span(), input, expected)?) {
            Expr::Path(ExprPath {
                attrs,
                qself: None,
                path,
            }) if attrs.is_empty()
                && path
                    .segments
                    .iter()
                    .all(|segment| segment.arguments.is_none()) =>
            {
                once(&mut self.crate_path, word, path)
            }
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => {
                let path = text
                    .parse_with(Path::parse_mod_style)
                    .map_err(|_| Error::new(text.span(), expected))?;
                let message = format!(
                    "expected a path, not a string: write `crate = {}`",
                    text.value().trim()
                );
                self.crate_path.get_or_insert(path);
                Err(Error::new(text.span(), message))
            }
            other => Err(Error::new_spanned(other, expected)),
        }
    }

    /// Reports words that contradict each other.
    fn contradictions(&self, errors: &mut Vec<Error>) {
        let mut wrong = |word: &Option<Span>, is_wrong: bool, message: &str| {
            if let (Some(word), true) = (word, is_wrong) {
                errors.push(Error::new(*word, message));
            }
        };
        let readonly = self.readonly.is_some();
        wrong(
            &self.purge,
            readonly,
            "`purge` ends the session and `readonly` leaves it as it is: remove one of them",
        );
        wrong(
            &self.renew,
            readonly,
            "`renew` changes the session's id and `readonly` leaves it as it is: remove one of them",
        );
        wrong(
            &self.lock,
            readonly,
            "`lock` is for handlers that change the session, and `readonly` changes nothing: remove one of them",
        );
        wrong(
            &self.quiet,
            self.purge.is_some() || self.renew.is_some(),
            "`quiet` is for requests that are no visit, and `purge` and `renew` change the session: remove one of them",
        );
        wrong(
            &self.renew,
            self.purge.is_some(),
            "`purge` leaves no session to renew: remove `renew`",
        );
        wrong(
            &self.redirect.as_ref().map(|redirect| redirect.word),
            self.require.is_none() && self.require_key.is_none() && self.fresh.is_none(),
            "`redirect` is where they go whom `require` or `fresh` refuses: add `require`",
        );
    }
}

fn expected() -> String {
    let words = WORDS.map(|word| format!("`{word}`"));
    format!("expected one of: {}", words.join(", "))
}

/// Returns the error for an unknown word. It suggests a known word if one is similar.
fn unknown(word: &Ident) -> Error {
    let message = match meant(&word.to_string()) {
        Some(meant) => format!("there is no `{word}`: did you mean `{meant}`?"),
        None => expected(),
    };
    Error::new(word.span(), message)
}

fn once<T>(place: &mut Option<T>, word: &Ident, value: T) -> syn::Result<()> {
    if place.is_some() {
        return Err(Error::new(word.span(), format!("`{word}` is given twice")));
    }
    *place = Some(value);
    Ok(())
}

fn flag(place: &mut Option<Span>, word: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
    if !is_over(input) {
        return Err(input.error(format!("expected `,`: `{word}` takes no value")));
    }
    once(place, word, word.span())
}

/// Reads the text that a word is given.
fn text(word: Span, input: ParseStream<'_>, example: &str) -> syn::Result<LitStr> {
    value(word, input, &format!("expected `{example}`"))
}

/// Reads a path that browsers resolve within the same site and that can stand in a header, like the library's
/// `LocalPath`.
fn path(word: Span, input: ParseStream<'_>) -> syn::Result<LitStr> {
    let path = text(word, input, EXAMPLE_OF_REDIRECT)?;
    let value = path.value();
    let harmless =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>');
    if value.contains("?next=") || value.contains("&next=") {
        let message = "`next` is the page that was asked for, and is added: remove it";
        return Err(Error::new(path.span(), message));
    }
    if value.starts_with('/') && !value.starts_with("//") && value.bytes().all(harmless) {
        return Ok(path);
    }
    let message = format!("expected a path of this site, as in `{EXAMPLE_OF_REDIRECT}`");
    Err(Error::new(path.span(), message))
}

/// Reads an expression that gives a session service.
fn service(word: Span, input: ParseStream<'_>) -> syn::Result<Expr> {
    let expected = "expected `sessions = EXPR`, where `EXPR` gives a `bsession::Sessions`";
    let service: Expr = value(word, input, expected)?;
    if matches!(service, Expr::Lit(_)) {
        return Err(Error::new_spanned(service, expected));
    }
    Ok(service)
}

/// Takes an expression out of the invisible parentheses that a `macro_rules!` macro leaves around it.
fn without_group(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) => without_group(*group.expr),
        expr => expr,
    }
}

fn value<T: Parse>(word: Span, input: ParseStream<'_>, expected: &str) -> syn::Result<T> {
    // At the end of the input, the word is the only token to point at.
    let place = |input: ParseStream<'_>| if input.is_empty() { word } else { input.span() };
    let equals = place(input);
    input
        .parse::<Token![=]>()
        .map_err(|_| Error::new(equals, expected))?;
    let at = place(input);
    let value = input.parse().map_err(|_| Error::new(at, expected))?;
    if is_over(input) {
        Ok(value)
    } else {
        Err(input.error("expected `,`"))
    }
}

fn is_over(input: ParseStream<'_>) -> bool {
    input.is_empty() || input.peek(Token![,])
}

fn skip_past_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    input.parse::<Option<Token![,]>>().map(drop)
}
