//! Requests, as far as they matter here.

use core::fmt;

use httparse::{EMPTY_HEADER, Error, Header, Request as Raw, Status};

use super::{MAX_FIELDS, MAX_HEAD, MAX_LINE};

/// What the client prefers to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Plain text.
    Text,
    /// HTML.
    Html,
    /// JSON.
    Json,
}

/// A request that was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// GET, or something else.
    pub method: &'a str,
    /// The path, without query.
    pub path: &'a str,
    /// Whether the connection is to stay open.
    pub keep: bool,
    /// Whether the client must be told that it stays open (HTTP/1.0).
    pub tell: bool,
    /// What form of the page it wants.
    pub wants: Wants,
}

/// Why a request isn't even looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It isn't HTTP.
    Bad(&'static str),
    /// Its first line is too long.
    LongLine,
    /// Its header fields are too long or too many.
    LongHead,
    /// It is of another version of HTTP.
    Version,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Bad(what) => f.write_str(what),
            Refusal::LongLine => write!(f, "the request line is longer than {MAX_LINE} bytes"),
            Refusal::LongHead => write!(
                f,
                "the header fields are longer than {MAX_HEAD} bytes or more than {MAX_FIELDS}"
            ),
            Refusal::Version => f.write_str("only HTTP/1.0 and HTTP/1.1 are spoken here"),
        }
    }
}

/// What the received bytes hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// Not yet a whole request.
    Partial,
    /// A request of so many bytes.
    Request(usize, Request<'a>),
    /// Something that can't become one.
    Refused(Refusal),
}

/// Looks for a request at the beginning of what was received.
pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut raw = Raw::new(&mut fields);
    let status = raw.parse(bytes);
    let line = bytes.iter().position(|&byte| byte == b'\n');
    if line.unwrap_or(bytes.len()) > MAX_LINE {
        return Parsed::Refused(Refusal::LongLine);
    }
    let length = match status {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if bytes.len() >= MAX_HEAD => {
            return Parsed::Refused(Refusal::LongHead);
        }
        Ok(Status::Partial) => return Parsed::Partial,
        Err(error) => return Parsed::Refused(refusal(error)),
    };
    if length > MAX_HEAD {
        return Parsed::Refused(Refusal::LongHead);
    }
    match understand(&raw) {
        Ok(request) => Parsed::Request(length, request),
        Err(refusal) => Parsed::Refused(refusal),
    }
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::TooManyHeaders => Refusal::LongHead,
        Error::Version => Refusal::Version,
        Error::HeaderName | Error::HeaderValue => Refusal::Bad("a header field is malformed"),
        _ => Refusal::Bad("the request line is malformed"),
    }
}

fn understand<'a>(raw: &Raw<'_, 'a>) -> Result<Request<'a>, Refusal> {
    let (Some(method), Some(target), Some(version)) = (raw.method, raw.path, raw.version) else {
        return Err(Refusal::Bad("the request line is malformed"));
    };
    let path = path_of(target).ok_or(Refusal::Bad("the request target is malformed"))?;
    let mut keep = version == 1;
    let (mut hosts, mut body) = (0, false);
    let (mut accept, mut agent) = ("", "");
    for Header { name, value } in raw.headers.iter() {
        let text = core::str::from_utf8(value).unwrap_or("").trim();
        if name.eq_ignore_ascii_case("host") {
            hosts += 1;
        } else if name.eq_ignore_ascii_case("connection") {
            for token in text.split(',').map(str::trim) {
                if token.eq_ignore_ascii_case("close") {
                    keep = false;
                } else if token.eq_ignore_ascii_case("keep-alive") && version == 0 {
                    keep = true;
                }
            }
        } else if name.eq_ignore_ascii_case("content-length") {
            body |= text != "0";
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            body = true;
        } else if name.eq_ignore_ascii_case("accept") {
            accept = text;
        } else if name.eq_ignore_ascii_case("user-agent") {
            agent = text;
        }
    }
    // RFC 9112 section 3.2 wants exactly one.
    if hosts > 1 || (hosts == 0 && version == 1) {
        return Err(Refusal::Bad("there must be one Host field"));
    }
    Ok(Request {
        method,
        path,
        // No request here has a use for content. Where it ends is not worth finding out: the
        // connection ends with the answer.
        keep: keep && !body,
        tell: version == 0,
        wants: wants(accept, agent),
    })
}

/// The path of a request target in origin or absolute form (RFC 9112 section 3.2).
fn path_of(target: &str) -> Option<&str> {
    let path = if target.starts_with('/') || target == "*" {
        target
    } else {
        let rest = target
            .split_once("://")
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("http"))?
            .1;
        rest.find('/').map_or("/", |slash| &rest[slash..])
    };
    path.split(['?', '#']).next()
}

/// What to send to a client that says so of itself: browsers name text/html; what doesn't is most
/// likely a program at a terminal.
fn wants(accept: &str, agent: &str) -> Wants {
    let acceptable = |kind: &str| {
        accept.split(',').any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case(kind));
            let refused = parts.any(|part| {
                let quality = part.strip_prefix("q=").or(part.strip_prefix("Q="));
                quality.is_some_and(|q| q.trim_end_matches(['0', '.']).is_empty())
            });
            named && !refused
        })
    };
    let browser = agent.starts_with("Mozilla/") && accept.is_empty();
    if acceptable("text/html") || acceptable("application/xhtml+xml") || browser {
        Wants::Html
    } else if acceptable("application/json") {
        Wants::Json
    } else {
        Wants::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use proptest::prelude::*;

    fn request(head: &str) -> Request<'_> {
        match parse(head.as_bytes()) {
            Parsed::Request(length, request) => {
                assert_eq!(length, head.len());
                request
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn connections_stay_unless_told() {
        let keep = |head: &str| request(head).keep;
        assert!(keep("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(!keep(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n"
        ));
        assert!(!keep("GET / HTTP/1.0\r\n\r\n"));
        assert!(keep("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        assert!(!keep(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
        ));
        assert!(keep(
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        ));
        assert!(!keep(
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        ));
    }

    #[test]
    fn targets_come_in_several_forms() {
        let path = |target: &str| {
            let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            String::from(request(&head).path)
        };
        assert_eq!(path("/bytes/5?x=1"), "/bytes/5");
        assert_eq!(path("http://host:80/bytes/5"), "/bytes/5");
        assert_eq!(path("HTTP://host"), "/");
        let odd = parse(b"GET bytes HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(matches!(odd, Parsed::Refused(Refusal::Bad(_))), "{odd:?}");
    }

    #[test]
    fn browsers_get_html_and_terminals_text() {
        let wants = |fields: &str| {
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            request(&head).wants
        };
        assert_eq!(
            wants("User-Agent: curl/7.88.1\r\nAccept: */*\r\n"),
            Wants::Text
        );
        assert_eq!(wants(""), Wants::Text);
        assert_eq!(
            wants("User-Agent: Mozilla/5.0\r\nAccept: text/html,application/xml;q=0.9\r\n"),
            Wants::Html
        );
        assert_eq!(wants("Accept: text/html;q=0, */*\r\n"), Wants::Text);
        assert_eq!(wants("Accept: text/html;q=0.5\r\n"), Wants::Html);
        assert_eq!(wants("Accept: application/json\r\n"), Wants::Json);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let refused = |head: &[u8]| match parse(head) {
            Parsed::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        };
        assert!(matches!(refused(b"\x16\x03\x01\x02\x00"), Refusal::Bad(_)));
        assert!(matches!(
            refused(b"GET / HTTP/1.1\r\n\r\n"),
            Refusal::Bad(_)
        ));
        let two = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
        assert!(matches!(refused(two), Refusal::Bad(_)));
        assert_eq!(refused(b"GET / HTTP/2.0\r\n\r\n"), Refusal::Version);
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(MAX_LINE));
        assert_eq!(refused(long.as_bytes()), Refusal::LongLine);
        let endless = format!("GET /{}", "a".repeat(MAX_LINE));
        assert_eq!(refused(endless.as_bytes()), Refusal::LongLine);
        let field = format!("GET / HTTP/1.1\r\nHost: {}", "a".repeat(MAX_HEAD));
        assert_eq!(refused(field.as_bytes()), Refusal::LongHead);
        let many = format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "A: b\r\n".repeat(MAX_FIELDS + 1)
        );
        assert_eq!(refused(many.as_bytes()), Refusal::LongHead);
        assert_eq!(parse(b"GET / HT"), Parsed::Partial);
        assert_eq!(parse(b""), Parsed::Partial);
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn fields_don_t_panic(fields in "[ -~\r\n\t]{0,200}") {
            let _ = parse(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n").as_bytes());
        }
    }
}
