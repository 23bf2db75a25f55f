//! What a session asks of the allocator, which repeats: more than these budgets is a change that has
//! to be meant. Time is guarded by nobody.

use std::process::Command;

/// Above the bare route, per request: what was measured and one more.
const BUDGETS: &[(&str, &str, f64)] = &[
    ("memory", "read", 3.0),
    ("memory", "write", 10.0),
    ("memory", "login", 28.5),
    ("file", "read", 12.0),
    ("file", "write", 22.0),
    ("file", "login", 43.5),
    #[cfg(feature = "redis")]
    ("Redis", "read", 21.0),
    #[cfg(feature = "redis")]
    ("Redis", "write", 40.0),
    #[cfg(feature = "redis")]
    ("Redis", "login", 68.0),
];

const SERVERS: &str = if cfg!(feature = "redis") {
    "bsession-memory,bsession-file,bsession-redis"
} else {
    "bsession-memory,bsession-file"
};

#[test]
fn a_session_allocates_no_more_than_its_budget() {
    let output = Command::new(env!("CARGO_BIN_EXE_bsession-bench"))
        .args(["compare", "--only", SERVERS, "--counted", "200"])
        .args(["--instructions", "0", "--rounds", "0"])
        .args(["--updates", "0", "--sessions", "0"])
        .output()
        .expect("the comparison starts");
    let page = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");

    let over: Vec<String> = BUDGETS
        .iter()
        .filter_map(|&(mode, route, budget)| {
            let spent = allocations(&page, mode, route);
            (spent > budget).then(|| format!("{mode} {route}: {spent}, not {budget}"))
        })
        .collect();
    assert!(over.is_empty(), "{over:#?}\n{page}");
}

/// From the row of the mode and the route, the column of allocations.
fn allocations(page: &str, mode: &str, route: &str) -> f64 {
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    let mut rows = page.lines().filter(|line| line.starts_with('|')).map(cells);
    let head = rows.next().expect("a table");
    let column = head.iter().position(|cell| cell == "allocations");
    let column = column.expect("a column of allocations");
    let row = rows.find(|row| row[0].ends_with(&format!(", {mode}")) && row[1] == route);
    let row = row.unwrap_or_else(|| panic!("no row of {mode} {route} in\n{page}"));
    row[column].replace(',', "").parse().expect("a number")
}
