//! Requests to the web server.

use netstack::service::http::request::parse;

use crate::Target;

/// The target.
pub const TARGET: Target = Target {
    name: "http",
    about: "requests of web clients",
    run,
    seeds,
};

fn run(bytes: &[u8]) {
    let whole = format!("{:?}", parse(bytes));
    // It is a function of the bytes alone.
    assert_eq!(whole, format!("{:?}", parse(bytes)));
    for end in [bytes.len() / 2, bytes.len().saturating_sub(1)] {
        parse(&bytes[..end]);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /bytes/1000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "HEAD /status.json?a=b HTTP/1.1\r\nHost: [fd00::2]:80\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET http://a/b HTTP/1.1\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n",
    ]
    .map(Vec::from)
    .into()
}
