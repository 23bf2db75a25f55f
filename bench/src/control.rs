//! The server's end of the line to the program that measures it: questions on stdin, answers on
//! stdout, so that asking is no request.

use std::{
    io::{BufRead, Write},
    net::SocketAddr,
    thread,
};

use crate::{allocations, callgrind};

/// What can be asked, one word a line.
pub(crate) const CPU: &str = "cpu";
pub(crate) const ALLOCATIONS: &str = "allocations";
pub(crate) const MARK: &str = "mark";

/// Says where the server listens, then answers until the other end closes the line; the server ends
/// with it, so that no server outlives the comparison.
pub(crate) fn answer(address: SocketAddr) {
    println!("{address}");
    thread::spawn(|| {
        let mut question = String::new();
        let mut stdin = std::io::stdin().lock();
        let mut stdout = std::io::stdout();
        while stdin
            .read_line(&mut question)
            .is_ok_and(|length| length > 0)
        {
            let answered = match question.trim_end() {
                CPU => writeln!(stdout, "{}", cpu_nanos()),
                ALLOCATIONS => {
                    allocations::count();
                    let allocations::Allocations { calls, bytes } = allocations::so_far();
                    writeln!(stdout, "{calls} {bytes}")
                }
                MARK => {
                    callgrind::mark();
                    writeln!(stdout, "{MARK}")
                }
                _ => break,
            };
            if answered.is_err() {
                break;
            }
            question.clear();
        }
        std::process::exit(0);
    });
}

/// CPU time of this process, all its threads, in user space and in the kernel.
#[expect(
    unsafe_code,
    reason = "std has no clock for CPU time, and /proc counts in 10 ms"
)]
fn cpu_nanos() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid timespec to write to.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0, "clock_gettime(CLOCK_PROCESS_CPUTIME_ID)");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
