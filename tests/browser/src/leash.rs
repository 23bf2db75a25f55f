//! A process that ends with whoever started it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Runs a program until its own standard input ends, which it does when we drop it, and also when we
/// are killed.
const SCRIPT: &str = r#""$@" </dev/null & read -r _; kill -9 $!; wait"#;

/// A running program, ended with this.
pub(crate) struct Leash(Child);

impl Leash {
    /// Starts a program in a directory and waits for the line in which it says where it listens.
    pub(crate) fn start(
        dir: &Path,
        program: impl AsRef<OsStr>,
        args: &[&str],
        mut listens: impl FnMut(&str) -> Option<u16>,
    ) -> (Self, u16) {
        let program = program.as_ref();
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "leash"])
            .arg(program)
            .args(args)
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let lines = BufReader::new(shell.stdout.take().expect("piped")).lines();
        let leash = Self(shell);
        let port = lines.map_while(Result::ok).find_map(|line| listens(&line));
        let port = port.unwrap_or_else(|| panic!("{} does not start", program.display()));
        (leash, port)
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}
