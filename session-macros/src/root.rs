//! The path of this library in generated code.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::Path;
use syn::spanned::Spanned;

/// The path that `crate = path` gives, or `::bsession`.
#[derive(Clone, Copy)]
pub(crate) struct Root<'a>(pub(crate) Option<&'a Path>);

impl Root<'_> {
    /// Writes the path. All its tokens are located at `place`, so that an error about generated code stands there.
    pub(crate) fn at(self, place: Span) -> TokenStream {
        match self.0 {
            None => quote_spanned!(place=> ::bsession),
            Some(path) => located_at(path.to_token_stream(), place),
        }
    }

    /// Writes the path of the module that only generated code uses. It is located at the path that was given, so that
    /// an error about a wrong one stands there.
    pub(crate) fn private(self) -> TokenStream {
        self.private_at(self.place())
    }

    /// The place of the path that was given, or else of the attribute.
    pub(crate) fn place(self) -> Span {
        let ours = Span::mixed_site();
        self.0.map_or(ours, |path| ours.located_at(path.span()))
    }

    /// Writes the path of that module, located at `place`.
    pub(crate) fn private_at(self, place: Span) -> TokenStream {
        let root = self.at(place);
        quote_spanned!(place=> #root::__private)
    }
}

/// Returns the tokens with the span `place`. Lints then see generated code, and not code of the user.
fn located_at(tokens: TokenStream, place: Span) -> TokenStream {
    let located = tokens.into_iter().map(|mut token| {
        let span = match &token {
            // The compiler finds the crate that `$crate` means by its span.
            TokenTree::Ident(word) if word == "$crate" => word.span().located_at(place),
            _ => place,
        };
        token.set_span(span);
        token
    });
    located.collect()
}
