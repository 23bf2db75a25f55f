//! The scripts of htmx and Turbo, from npm, fetched once for this build directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What is fetched: two versions of htmx that are both in use, and Turbo.
const PACKAGES: [&str; 3] = [
    "htmx2@npm:htmx.org@2.0.11",
    "htmx4@npm:htmx.org@4.0.1",
    "@hotwired/turbo@8.0.23",
];

/// The directory of the packages. Says so if they cannot be had, and CI has to have them.
pub(crate) fn packages() -> Option<&'static Path> {
    static PLACE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        let place = fetch();
        if place.is_none() {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI has to have npm, and what it fetches"
            );
            // Past what keeps the output of tests that pass.
            let text = "SKIPPED: there is no npm, or it cannot fetch htmx and Turbo\n";
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
        }
        place
    });
    place.as_deref()
}

fn fetch() -> Option<PathBuf> {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let place = temporary.join(PACKAGES.concat().replace(['/', ':', '@'], "-"));
    if place.exists() {
        return Some(place);
    }
    let fresh = tempfile::tempdir_in(temporary).expect("a directory");
    let npm = Command::new("npm")
        .args(["install", "--ignore-scripts", "--no-audit", "--no-fund"])
        .args(["--no-package-lock", "--prefix"])
        .arg(fresh.path())
        .args(PACKAGES)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !npm.is_ok_and(|status| status.success()) {
        return None;
    }
    // Another process may have been faster.
    let _ = fs::rename(fresh.path().join("node_modules"), &place);
    Some(place)
}
