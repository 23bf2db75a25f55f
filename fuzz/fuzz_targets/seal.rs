#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bsession_runtime::fuzzing::seal(input));
