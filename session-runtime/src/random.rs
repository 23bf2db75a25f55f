//! Random bytes from the operating system.

use std::io;

/// `N` bytes from the operating system's generator.
///
/// # Errors
/// The operating system gives no random bytes.
pub(crate) fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// Eight bytes that differ between processes. Do not use them for secrets: without a random generator, they are made
/// from the time and the process id.
pub(crate) fn bytes_or_time() -> [u8; 8] {
    bytes().unwrap_or_else(|_| {
        let nanos = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .map_or(0, |span| span.as_nanos() as u64);
        (nanos ^ u64::from(std::process::id()).rotate_right(16)).to_le_bytes()
    })
}
