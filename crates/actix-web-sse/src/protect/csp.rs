//! The part of a page's `Content-Security-Policy` that lets it open the streams.

use super::host::Hosts;

/// `connect-src` for a page that opens streams from these hosts. Loopback is reached by `http`
/// and on any port, everything else by `https`. IPv6 addresses are left out: CSP 3 has no way to
/// write them.
pub(crate) fn connect_src(hosts: &Hosts) -> String {
    let mut directive = String::from("connect-src 'self'");
    for (host, port) in hosts.iter() {
        if host.starts_with('[') {
            continue;
        }
        let loopback =
            host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.");
        directive.push_str(if loopback { " http://" } else { " https://" });
        directive.push_str(host);
        match port {
            Some(port) => directive.push_str(&format!(":{port}")),
            None if loopback => directive.push_str(":*"),
            None => {}
        }
    }
    directive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_that_serves_streams_is_named() {
        let mut hosts = Hosts::default();
        for host in [
            "API.example.com",
            "api.example.com:8443",
            "127.0.0.1",
            "localhost:8080",
            "[::1]",
        ] {
            hosts.add(host).unwrap();
        }
        assert_eq!(
            connect_src(&hosts),
            "connect-src 'self' https://api.example.com https://api.example.com:8443 \
             http://127.0.0.1:* http://localhost:8080"
        );
        assert_eq!(connect_src(&Hosts::default()), "connect-src 'self'");
    }
}
