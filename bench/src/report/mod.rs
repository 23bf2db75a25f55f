//! The figures as Markdown, a file a table.

mod counts;
mod times;

use crate::library::{Library, Route};

pub(crate) use self::{counts::counts, times::times};

/// The versions that were built, not those that were asked for.
const LOCK: &str = include_str!("../../Cargo.lock");

/// Where [`Route::Bare`] stands in [`Route::ALL`].
const BARE: usize = 0;

fn row(library: Library, route: Route, figures: &[String]) -> String {
    let (package, what) = library.label();
    let version = version(package).unwrap_or_default();
    format!(
        "| {package} {version}, {what} | {} | {} |\n",
        route.name(),
        figures.join(" | ")
    )
}

fn version(package: &str) -> Option<&'static str> {
    let (_, rest) = LOCK.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_is_the_one_that_is_built() {
        assert!(version("actix-session").is_some_and(|version| version.starts_with("0.11.")));
    }
}
