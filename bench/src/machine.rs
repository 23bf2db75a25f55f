//! Where and when it was measured, for who reads the figures later.

use std::{fs, path::Path, thread, time::SystemTime};

use tokio::process::Command;

/// A line of prose; what cannot be found out is left out.
pub(crate) async fn describe(scratch: &Path) -> String {
    let mut known = vec![httpdate::fmt_http_date(SystemTime::now())];
    known.extend(processor());
    if let Ok(cores) = thread::available_parallelism() {
        known.push(format!("{cores} cores"));
    }
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease");
    known.extend(kernel.map(|release| format!("Linux {}", release.trim())));
    known.extend(output("rustc", &["--version"]).await);
    let scratch = scratch.display().to_string();
    let kind = output("stat", &["--file-system", "--format=%T", &scratch]).await;
    known.extend(kind.map(|kind| format!("session files on {kind}")));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    known.extend(
        load.split(' ')
            .next()
            .map(|load| format!("load before the start {load}")),
    );
    format!("Measured {}.", known.join("; "))
}

fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

async fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().await.ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
