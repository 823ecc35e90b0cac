#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| actix_web_sse::fuzzing::host(data));
