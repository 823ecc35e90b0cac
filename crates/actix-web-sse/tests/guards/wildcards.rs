//! Wildcards that need a flag.

use super::configuration::{build, fault, origin_fault};

#[test]
fn w13_a_wildcard_inside_a_label_and_one_for_a_scheme_have_flags() {
    for (origin, flags) in [
        (
            "https://*--name.example.app",
            &["dangerous_label_wildcards"][..],
        ),
        (
            "https://name-*-team.example.app:8443",
            &["dangerous_label_wildcards"],
        ),
        (
            "https://*--name.netlify.app",
            &["dangerous_label_wildcards", "dangerous_public_suffixes"],
        ),
        (
            "https://name-*.vercel.app",
            &["dangerous_label_wildcards", "dangerous_public_suffixes"],
        ),
        (
            "http://name-*.example.app",
            &["dangerous_label_wildcards", "dangerous_plain_http"],
        ),
        ("moz-extension://*", &["dangerous_whole_schemes"]),
        ("vscode-webview://*", &["dangerous_whole_schemes"]),
    ] {
        let with = |flags: &[&str]| {
            let flags: String = flags
                .iter()
                .map(|flag| format!(", {flag} = true"))
                .collect();
            build(
                &format!("origins = {{ allow = ['{origin}'], credentials = true{flags} }}"),
                "",
            )
        };
        assert!(with(flags).is_ok(), "{origin}");
        // Without any one of them it is refused, and the message names the one that is missing.
        for missing in flags {
            let others: Vec<_> = flags
                .iter()
                .copied()
                .filter(|flag| flag != missing)
                .collect();
            let error = with(&others).expect_err(origin);
            assert_eq!(error.faults().len(), 1, "{error}");
            let fault = &error.faults()[0];
            assert_eq!(fault.key, "policy.origins.allow", "{error}");
            assert!(fault.value.contains(origin), "{error}");
            assert!(fault.message.contains(missing), "{error}");
        }
    }
    // The flags open nothing else.
    for origin in [
        "https://*example.com",
        "https://shop-*.co.uk",
        "https://a.b-*.x.com",
        "file://*",
    ] {
        let all = "dangerous_label_wildcards = true, dangerous_whole_schemes = true, \
                   dangerous_public_suffixes = true";
        fault(
            &format!("origins = {{ allow = ['{origin}'], {all} }}"),
            "policy.origins.allow",
            origin,
        );
    }
    // Without credentials, too: the name is for whoever can have it.
    origin_fault("https://*--name.example.app", false);
    origin_fault("moz-extension://*", false);
    // Apps' own schemes are written out.
    for origin in ["capacitor://localhost", "tauri://localhost"] {
        let policy = format!("origins = {{ allow = ['{origin}'], credentials = true }}");
        assert!(build(&policy, "").is_ok(), "{origin}");
    }
}
