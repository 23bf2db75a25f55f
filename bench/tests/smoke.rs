//! A comparison in small: every server starts, keeps its sessions and gets its rows.

use std::process::Command;

const ROUTES: [&str; 4] = ["bare", "read", "write", "login"];

/// What it prints, and what it says it does.
fn compare(args: &str) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bsession-bench"));
    command.arg("compare").args(args.split(' '));
    let output = command.output().expect("the comparison starts");
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    (page, log)
}

/// The lines of the table under a title that begins so.
fn table<'p>(page: &'p str, title: &str) -> Vec<&'p str> {
    let (_, section) = page
        .split_once(&format!("\n### {title}"))
        .unwrap_or_else(|| panic!("no section of {title:?}\n{page}"));
    let section = section.split("\n### ").next().unwrap_or_default();
    let lines = section.lines().filter(|line| line.starts_with('|'));
    lines.skip(2).collect() // The head and the line under it.
}

#[test]
fn a_small_comparison_fills_its_tables() {
    // Without valgrind, under which so many servers take minutes to start.
    let (page, log) = compare(
        "--counted 20 --instructions 0 --rounds 1 --requests 64 --updates 20 --sessions 64",
    );

    let servers = log
        .lines()
        .filter(|line| line.starts_with("counting "))
        .count();
    assert!(servers > 0, "{log}");
    for title in ["Counts", "Times"] {
        let table = table(&page, title);
        for route in ROUTES {
            let cell = format!("| {route} |");
            let rows = table.iter().filter(|row| row.contains(&cell)).count();
            assert_eq!(rows, servers, "{title}, {route}: a row each\n{page}");
        }
    }
    for title in ["Of 20 increments", "Bytes a session", "A bare route while"] {
        let rows = table(&page, title).len();
        assert!(rows >= servers, "{title}: a row each\n{page}");
    }
    if cfg!(feature = "redis") {
        for title in ["What Redis is asked", "CPU time of Redis"] {
            let rows = table(&page, title).len();
            assert_eq!(rows, 3 * 3, "{title}: a row for each of three\n{page}");
        }
    }

    // An update is made again on what others have written: none is lost.
    let kept = table(&page, "Of 20 increments");
    let kept = kept
        .iter()
        .filter(|row| row.contains("| `update` | 20 | 0 |"));
    let modes = if cfg!(feature = "redis") { 3 } else { 2 };
    assert_eq!(kept.count(), modes, "bsession's modes\n{page}");
}

#[test]
fn instructions_are_counted_where_there_is_valgrind() {
    let (page, _) =
        compare("--only bsession-memory --counted 20 --rounds 0 --updates 0 --sessions 0");
    let installed = Command::new("valgrind").arg("--version").output().is_ok();
    let counted = page
        .lines()
        .filter(|line| line.contains("memory | ") && !line.contains("| – |"))
        .count();
    assert_eq!(counted, if installed { ROUTES.len() } else { 0 }, "{page}");
}

#[cfg(feature = "redis")]
#[test]
fn who_has_no_redis_is_told_so_at_once() {
    let output = Command::new(env!("CARGO_BIN_EXE_bsession-bench"))
        .args(["compare", "--only", "bsession-redis"])
        .env("PATH", "")
        .output()
        .expect("the comparison starts");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && log.contains("redis-server"),
        "{log}"
    );
    assert!(!log.contains("counting"), "{log}");
}
