//! A comparison in small: every server starts, keeps its sessions and gets its rows.

use std::process::Command;

const ROUTES: [&str; 4] = ["bare", "read", "write", "login"];

#[test]
fn a_small_comparison_fills_its_tables() {
    let output = Command::new(env!("CARGO_BIN_EXE_bsession-bench"))
        .args(["compare", "--counted", "20", "--rounds", "1"])
        .args(["--requests", "64"])
        .output()
        .expect("the comparison starts");
    let page = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");

    let servers = log
        .lines()
        .filter(|line| line.starts_with("counting "))
        .count();
    assert!(servers > 0, "{log}");
    for route in ROUTES {
        let rows = page
            .lines()
            .filter(|line| line.contains(&format!("| {route} |")))
            .count();
        assert_eq!(
            rows,
            2 * servers,
            "{route}: a row for counts and one for times each\n{page}"
        );
    }
}
