#![no_main]

use std::path::Path;

use tempfile::TempDir;

// In memory where there is such a directory: a disk would be slower, and be worn for nothing.
fn scratch() -> std::io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let dir = scratch().expect("a directory");
    bsession_runtime::fuzzing::record(input, dir.path());
});
