//! The figures as Markdown, a file a table.

mod beside;
mod builds;
mod counts;
mod memory;
mod times;
mod updates;

use crate::{library::Library, number::MISSING, spread::Spread};

pub(crate) use self::{
    beside::beside, builds::builds, counts::counts, memory::memory, times::times, updates::updates,
};

/// The versions that were built, not those that were asked for.
const LOCK: &str = include_str!("../../Cargo.lock");

/// Where [`Route::Bare`](crate::library::Route::Bare) stands in `Route::ALL`.
const BARE: usize = 0;

fn row(library: Library, cells: &[String]) -> String {
    let (package, what) = library.label();
    let version = version(package).unwrap_or_default();
    table_row(&format!("{package} {version}, {what}"), cells)
}

fn table_row(name: &str, cells: &[String]) -> String {
    format!("| {name} | {} |\n", cells.join(" | "))
}

/// The median, and how far the rounds lie apart.
fn over_rounds(figures: impl Iterator<Item = f64>, text: impl Fn(f64) -> String) -> String {
    Spread::of(figures).map_or(MISSING.to_owned(), |Spread { median, min, max }| {
        format!("{} ({} to {})", text(median), text(min), text(max))
    })
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
