//! What `#[session]` accepts, and what it says of what it does not.
//!
//! `TRYBUILD=overwrite cargo test --test ui` writes the expected errors anew; read the difference
//! before you keep it.

use std::process::Command;

/// The compiler that wrote the expected errors: another one words its own differently.
const COMPILER: &str = "1.95.";

#[test]
fn what_it_accepts_compiles() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}

#[test]
fn what_it_refuses_is_explained() {
    let version = compiler();
    if version.starts_with(COMPILER) {
        trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
    } else {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI has to check them: bless them for rustc {version}, and name it above"
        );
        println!("skipped: the expected errors are those of rustc {COMPILER}x, this is {version}");
    }
}

fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .arg("--version")
        .output()
        .expect("the compiler runs");
    let text = String::from_utf8(output.stdout).expect("its version is text");
    text.split(' ')
        .nth(1)
        .expect("`rustc 1.2.3 (..)`")
        .to_owned()
}
