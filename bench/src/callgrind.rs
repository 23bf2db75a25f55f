//! Instructions in user space, counted by callgrind.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use crate::Result;

/// callgrind writes down and forgets its counts whenever this is entered: what lies between two
/// marks is one measurement, and the start-up is in none.
#[expect(unsafe_code, reason = "callgrind finds the function by its plain name")]
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn bsession_bench_mark() {
    std::hint::black_box(());
}

pub(crate) fn mark() {
    bsession_bench_mark();
}

fn log(out: &Path) -> PathBuf {
    out.with_extension("log")
}

/// The numbers of the system calls that valgrind does not know and therefore refused: where there
/// are any, what was counted is the way around them.
pub(crate) fn refused_calls(out: &Path) -> Result<BTreeSet<u32>> {
    let log = fs::read_to_string(log(out))?;
    let numbers = log.lines().filter(|line| line.contains("unhandled"));
    let numbers = numbers.filter_map(|line| line.split_once("syscall: ")?.1.parse().ok());
    Ok(numbers.collect())
}

/// Is there a callgrind?
pub(crate) async fn is_installed() -> bool {
    let version = Command::new("valgrind").arg("--version").output().await;
    version.is_ok_and(|output| output.status.success())
}

/// This program under callgrind; the arguments of a subcommand are to be added.
pub(crate) fn command(out: &Path) -> Result<Command> {
    let mut command = Command::new("valgrind");
    command
        .args([
            "--tool=callgrind",
            "--quiet",
            "--dump-before=bsession_bench_mark",
        ])
        // Whole names and positions, so that reading them needs no state.
        .args(["--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(format!("--log-file={}", log(out).display()))
        .arg(std::env::current_exe()?);
    Ok(command)
}

/// The instructions between two marks.
#[derive(Default)]
pub(crate) struct Instructions {
    total: u64,
    /// What SHA-256's compression took: valgrind hides the SHA instructions of the CPU, so that the
    /// portable code runs, which on most machines it does not.
    sha256: u64,
    /// The functions that this was taken from.
    pub(crate) sha256_functions: BTreeSet<String>,
}

impl Instructions {
    pub(crate) fn without_sha256(&self) -> u64 {
        self.total - self.sha256
    }

    pub(crate) fn sha256(&self) -> u64 {
        self.sha256
    }
}

/// Reads the `part`-th file that was written for `out`.
pub(crate) fn read(out: &Path, part: usize) -> Result<Instructions> {
    let mut name = out.as_os_str().to_owned();
    name.push(format!(".{part}"));
    Ok(parse(&fs::read_to_string(name)?))
}

/// `fn=` opens a function, a line of numbers is a position and what was spent there, and the line
/// after `calls=` is what the callee spent, counted where the callee stands.
fn parse(profile: &str) -> Instructions {
    let mut found = Instructions::default();
    let mut in_sha256 = false;
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        if let Some(function) = line.strip_prefix("fn=") {
            in_sha256 = is_sha256(function);
            if in_sha256 {
                found.sha256_functions.insert(function.to_owned());
            }
        } else if line.starts_with("calls=") {
            lines.next();
        } else if let Some(spent) = spent(line) {
            found.total += spent;
            if in_sha256 {
                found.sha256 += spent;
            }
        }
    }
    found
}

fn spent(line: &str) -> Option<u64> {
    let (position, spent) = line.split_once(' ')?;
    position
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| spent.parse().ok())?
}

fn is_sha256(function: &str) -> bool {
    function.contains("sha2::sha256")
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_a_callee_spends_is_counted_once() {
        let profile = "\
events: Ir
summary: 128

fl=a.rs
fn=main
1 10
cfn=sha2::sha256::soft::compress
calls=2 0
2 100
3 18

fl=b.rs
fn=sha2::sha256::soft::compress
0 60
7 40
totals: 128
";
        let found = parse(profile);
        assert_eq!((found.total, found.sha256), (128, 100));
        assert_eq!(found.sha256_functions.len(), 1);
    }
}
