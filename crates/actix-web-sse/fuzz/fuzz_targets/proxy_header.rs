#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = actix_web_sse::fuzzing::proxy_header(data);
});
