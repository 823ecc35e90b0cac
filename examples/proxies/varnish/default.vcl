# Varnish in front of event streams. TLS and HTTP/2 for browsers come from what stands before it (HAProxy, hitch, nginx).
# Start it with `-p feature=+http2` where that speaks HTTP/2 to Varnish, and listen for the PROXY protocol
# (`-a :6086,PROXY`), so that client.ip is the client's.

vcl 4.1;

backend sse_app {
    .host = "127.0.0.1";
    .port = "8080";
    # The head comes at once; between two bytes the heartbeat (15 s by default) is the longest time.
    .first_byte_timeout = 10s;
    .between_bytes_timeout = 75s;
}

sub vcl_recv {
    # The address of the client, instead of whatever the client claims. Varnish has appended it already.
    set req.http.X-Forwarded-For = client.ip;
    set req.http.X-Forwarded-Host = req.http.host;

    if (req.url ~ "^/events(\?|$)") {
        # Never from the cache, never shared. OPTIONS, Origin and Last-Event-ID go through as they are.
        return (pass);
    }
}

sub vcl_backend_response {
    if (bereq.url ~ "^/events(\?|$)") {
        # Every event at once, as it is.
        set beresp.do_stream = true;
        set beresp.do_gzip = false;
        set beresp.uncacheable = true;
        set beresp.ttl = 0s;
    }
}

sub vcl_deliver {
    # A stream may last longer than `send_timeout` (600 s): without this Varnish cuts it then.
    if (req.url ~ "^/events(\?|$)") {
        set sess.send_timeout = 86400s;
        set sess.idle_send_timeout = 75s;
    }
}
