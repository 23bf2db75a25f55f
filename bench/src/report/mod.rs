//! The figures as Markdown, a file a table.

mod beside;
mod builds;
mod counts;
mod memory;
mod redis;
mod times;
mod updates;

use crate::{library::Library, number::MISSING, spread::Spread};

pub(crate) use self::{
    beside::beside,
    builds::builds,
    counts::counts,
    memory::memory,
    redis::{counts as redis, times as redis_times},
    times::times,
    updates::updates,
};

/// The versions that were built, not those that were asked for.
const LOCK: &str = include_str!("../../Cargo.lock");

/// Where [`Route::Bare`](crate::library::Route::Bare) stands in `Route::ALL`.
const BARE: usize = 0;

fn row(library: Library, cells: &[String]) -> String {
    let (package, what) = library.label();
    let version = version(package).unwrap_or_default();
    let package = package.split('@').next().unwrap_or(package);
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

/// Of a package, or of `package@version` where it is there in several.
fn version(package: &str) -> Option<&'static str> {
    let (package, wanted) = package.split_once('@').unwrap_or((package, ""));
    let named = format!("name = \"{package}\"\nversion = \"");
    let versions = LOCK.split(&named).skip(1);
    let mut versions = versions.filter_map(|rest| Some(rest.split_once('"')?.0));
    versions.find(|version| version.starts_with(wanted))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_is_the_one_that_is_built() {
        assert!(version("actix-session").is_some_and(|version| version.starts_with("0.11.")));
    }

    #[test]
    fn each_of_several_versions_is_found() {
        for wanted in ["0.14", "0.15"] {
            let found = version(&format!("tower-sessions@{wanted}"));
            assert!(
                found.is_some_and(|found| found.starts_with(wanted)),
                "{found:?}"
            );
        }
    }
}
