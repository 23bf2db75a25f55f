//! What stands in the parentheses of `#[session(..)]`.

use proc_macro2::{TokenStream, TokenTree};
use syn::parse::{ParseStream, Parser};
use syn::{Error, Token};

mod word {
    syn::custom_keyword!(purge);
}

const EXPECTED: &str = "expected `#[session]` or `#[session(purge)]`";

/// The arguments, as far as they could be read.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) purge: bool,
}

impl Args {
    /// Reads all there is: a wrong argument is an error and does not hide the next one.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Vec<Error>) -> Self {
        let mut args = Self::default();
        let read = |input: ParseStream<'_>| {
            while !input.is_empty() {
                match input.call(argument) {
                    Ok(again) if args.purge => {
                        errors.push(Error::new(again.span, "`purge` is given twice"))
                    }
                    Ok(_) => args.purge = true,
                    Err(error) => errors.push(error),
                }
                skip_past_comma(input)?;
            }
            Ok(())
        };
        if let Err(error) = read.parse2(tokens) {
            errors.push(error);
        }
        args
    }
}

fn argument(input: ParseStream<'_>) -> syn::Result<word::purge> {
    let word = input
        .parse()
        .map_err(|error: Error| Error::new(error.span(), EXPECTED))?;
    if input.is_empty() || input.peek(Token![,]) {
        Ok(word)
    } else {
        Err(input.error(EXPECTED))
    }
}

fn skip_past_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    input.parse::<Option<Token![,]>>().map(drop)
}
