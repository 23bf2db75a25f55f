//! A comparison in small: every server starts, keeps its sessions and gets its rows.

use std::process::Command;

const ROUTES: [&str; 4] = ["bare", "read", "write", "login"];

/// What it prints, and what it says it does.
fn compare(args: &[&str], path: Option<&str>) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bsession-bench"));
    command.arg("compare").args(args);
    command.envs(path.map(|path| ("PATH", path)));
    let output = command.output().expect("the comparison starts");
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    (page, log)
}

#[test]
fn a_small_comparison_fills_its_tables() {
    let small = "--counted 20 --rounds 1 --requests 64 --updates 20 --sessions 64";
    let small: Vec<&str> = small.split(' ').collect();
    // Without valgrind, under which so many servers take minutes to start.
    let (page, log) = compare(&small, Some(""));

    let servers = log
        .lines()
        .filter(|line| line.starts_with("counting "))
        .count();
    assert!(servers > 0, "{log}");
    let rows = |what: &str| page.lines().filter(|line| line.contains(what)).count();
    for route in ROUTES {
        assert_eq!(
            rows(&format!("| {route} |")),
            2 * servers,
            "{route}: a row for counts and one for times each\n{page}"
        );
    }
    for title in [
        "increments of one session",
        "Bytes a session",
        "while another",
    ] {
        let (_, section) = page
            .split_once(title)
            .unwrap_or_else(|| panic!("no section of {title:?}\n{page}"));
        let section = section.split("\n### ").next().unwrap_or_default();
        // Below the head and the line under it.
        let rows = section.lines().filter(|line| line.starts_with('|')).count() - 2;
        assert!(rows >= servers, "{title}: a row each\n{page}");
    }

    // An update is made again on what others have written: none is lost.
    assert_eq!(
        rows("| `update` | 20 | 0 |"),
        2,
        "bsession's two modes\n{page}"
    );
}

#[test]
fn instructions_are_counted_where_there_is_valgrind() {
    let args = "--only bsession-memory --counted 20 --rounds 0 --updates 0 --sessions 0";
    let args: Vec<&str> = args.split(' ').collect();
    let (page, _) = compare(&args, None);
    let installed = Command::new("valgrind").arg("--version").output().is_ok();
    let counted = page
        .lines()
        .filter(|line| line.contains("memory | ") && !line.contains("| – |"))
        .count();
    assert_eq!(counted, if installed { ROUTES.len() } else { 0 }, "{page}");
}
