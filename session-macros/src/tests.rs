//! Tests that compare the expansions of the attribute with the recorded ones.
//!
//! `snapshots/name.rs` is expanded to `snapshots/name.expanded.rs`. `SNAPSHOTS=overwrite cargo test
//! -p bsession-macros` writes all expansions again. Read the difference before you keep it.

#![allow(clippy::unwrap_used)] // a test that panics has failed

use std::path::{Path, PathBuf};
use std::{env, fs};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::rewrite;
use crate::args::Args;
use crate::guess::WORDS;

#[test]
fn handlers_expand_as_recorded() {
    let overwrite = env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite");
    let mut different = Vec::new();
    for input in inputs() {
        let output = input.with_extension("expanded.rs");
        let expanded = expand(&fs::read_to_string(&input).unwrap());
        if overwrite {
            fs::write(&output, expanded).unwrap();
        } else if fs::read_to_string(&output).unwrap_or_default() != expanded {
            different.push(format!("{} is now:\n\n{expanded}", output.display()));
        }
    }
    assert!(
        different.is_empty(),
        "{}\nto keep: SNAPSHOTS=overwrite",
        different.join("\n")
    );
}

/// The body is not parsed: all its tokens arrive in the output, one by one.
#[test]
fn an_unfinished_body_arrives_whole() {
    let body = "{ session . ; let = if match x { => } # ! @ $ ~ 'a r#type b\"\" }";
    let expanded = rewrite(
        TokenStream::new(),
        format!("async fn f() -> T {body}").parse().unwrap(),
    );
    let body: TokenStream = body.parse().unwrap();
    assert!(
        expanded.to_string().contains(&body.to_string()),
        "{expanded}"
    );
    assert!(
        !expanded.to_string().contains("compile_error"),
        "{expanded}"
    );
}

#[test]
fn every_word_that_is_named_is_read() {
    for word in WORDS {
        let mut errors = Vec::new();
        Args::parse(word.parse().unwrap(), &mut errors);
        let is_unknown = |error: &syn::Error| error.to_string().starts_with("there is no");
        assert!(!errors.iter().any(is_unknown), "{word}");
    }
}

fn inputs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut inputs: Vec<_> = files
        .filter(|path| !path.to_string_lossy().ends_with(".expanded.rs"))
        .collect();
    inputs.sort();
    assert!(inputs.len() > 5, "the snapshots are there");
    inputs
}

/// Does the same as rustc with an attribute: removes it, and hands over its arguments and the rest.
fn expand(source: &str) -> String {
    let (mut args, mut item) = (TokenStream::new(), Vec::new());
    for token in source.parse::<TokenStream>().unwrap() {
        match arguments(&token) {
            Some(arguments) => {
                args = arguments;
                item.pop();
            }
            None => item.push(token),
        }
    }
    let expanded = rewrite(args, TokenStream::from_iter(item));
    // Half-typed code does not parse as a file, so it cannot be pretty-printed.
    syn::parse2(expanded.clone()).map_or_else(
        |_| format!("{expanded}\n"),
        |file| prettyplease::unparse(&file),
    )
}

/// Returns the arguments if `token` is the `[session(..)]` of the attribute.
fn arguments(token: &TokenTree) -> Option<TokenStream> {
    let TokenTree::Group(group) = token else {
        return None;
    };
    let mut inside = group.stream().into_iter();
    let name = inside.next()?;
    if group.delimiter() != Delimiter::Bracket || name.to_string() != "session" {
        return None;
    }
    match inside.next() {
        Some(TokenTree::Group(arguments)) => Some(arguments.stream()),
        _ => Some(TokenStream::new()),
    }
}
