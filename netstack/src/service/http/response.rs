//! Answers.

use alloc::vec::Vec;
use core::fmt::{self, Write};

use super::request::{Refusal, Request, Wants};
use super::{bytes, page};
use crate::report::Report;

/// Room kept before the text for the answer's head.
const HEAD: usize = 512;

/// What follows the text that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    Text,
    /// So many bytes of [`bytes`].
    Bytes(u64),
}

/// What to do after the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What follows.
    pub body: Body,
    /// Whether the connection ends then.
    pub last: bool,
}

/// Text of bounded length.
pub struct Text<'a> {
    /// Where it goes.
    pub into: &'a mut Vec<u8>,
    /// How long it may get.
    pub most: usize,
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.into.len() + text.len() > self.most {
            return Err(fmt::Error);
        }
        self.into.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// A head while it is written.
struct Head {
    bytes: [u8; HEAD],
    length: usize,
}

impl Write for Head {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let into = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        into.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

const PLAIN: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const BINARY: &str = "application/octet-stream";

struct Answer {
    status: (u16, &'static str),
    kind: &'static str,
    /// A length other than that of the text.
    bytes: Option<u64>,
    /// Whether other clients get something else under this name.
    varies: bool,
    /// What could be asked instead.
    allow: bool,
    last: bool,
}

/// Writes head and text of the answer to a request into `out`, of at most `most` bytes.
pub fn respond(
    request: Result<Request, Refusal>,
    report: &Report,
    most: usize,
    out: &mut Vec<u8>,
) -> Outcome {
    out.clear();
    out.resize(HEAD, b' ');
    let mut text = Text { into: out, most };
    let (answer, head_only, tell) = match request {
        Ok(request) => {
            let answer = route(&request, report, &mut text);
            let last = !request.keep;
            let answer = Answer { last, ..answer };
            (answer, request.method == "HEAD", request.tell)
        }
        Err(refusal) => (refuse(refusal, &mut text), false, false),
    };
    let length = answer.bytes.unwrap_or((out.len() - HEAD) as u64);
    let mut head = Head {
        bytes: [0; HEAD],
        length: 0,
    };
    // All of it is shorter than HEAD, whatever the figures.
    let written = write_head(&mut head, &answer, length, tell);
    debug_assert!(written.is_ok());
    let begin = HEAD - head.length;
    out[begin..HEAD].copy_from_slice(&head.bytes[..head.length]);
    if head_only {
        out.truncate(HEAD);
    }
    out.drain(..begin);
    Outcome {
        body: match answer.bytes {
            Some(length) if !head_only => Body::Bytes(length),
            _ => Body::Text,
        },
        last: answer.last,
    }
}

fn write_head(head: &mut Head, answer: &Answer, length: u64, tell: bool) -> fmt::Result {
    let (status, reason) = answer.status;
    write!(
        head,
        "HTTP/1.1 {status} {reason}\r\n\
         Server: usufruct/{}\r\n\
         Content-Type: {}\r\n\
         Content-Length: {length}\r\n\
         Cache-Control: no-store\r\n",
        env!("CARGO_PKG_VERSION"),
        answer.kind,
    )?;
    if answer.varies {
        head.write_str("Vary: Accept, User-Agent\r\n")?;
    }
    if answer.allow {
        head.write_str("Allow: GET, HEAD\r\n")?;
    }
    match (answer.last, tell) {
        (true, _) => head.write_str("Connection: close\r\n")?,
        (false, true) => head.write_str("Connection: keep-alive\r\n")?,
        (false, false) => {}
    }
    head.write_str("\r\n")
}

fn route(request: &Request, report: &Report, text: &mut Text) -> Answer {
    let ok = Answer {
        status: (200, "OK"),
        kind: PLAIN,
        bytes: None,
        varies: false,
        allow: false,
        last: false,
    };
    let amount = request.path.strip_prefix("/bytes/");
    let known = matches!(request.path, "/" | "/stats.json") || amount.is_some();
    if known && !matches!(request.method, "GET" | "HEAD") {
        return Answer {
            allow: true,
            ..error(text, (405, "Method Not Allowed"), "only GET and HEAD")
        };
    }
    let written = match (request.path, amount) {
        ("/stats.json", _) => page::json(report, text).map(|()| Answer { kind: JSON, ..ok }),
        ("/", _) => {
            let (kind, written) = match request.wants {
                Wants::Text => (PLAIN, page::text(report, text)),
                Wants::Html => (HTML, page::html(report, text)),
                Wants::Json => (JSON, page::json(report, text)),
            };
            written.map(|()| Answer {
                kind,
                varies: true,
                ..ok
            })
        }
        (_, Some(amount)) => Ok(match number(amount) {
            Some(length) => Answer {
                kind: BINARY,
                bytes: Some(length),
                ..ok
            },
            None => bad_amount(text),
        }),
        _ => Ok(error(
            text,
            (404, "Not Found"),
            "there is nothing here; try / or /stats.json or /bytes/1000",
        )),
    };
    written.unwrap_or_else(|fmt::Error| {
        text.into.truncate(HEAD);
        error(text, (500, "Internal Server Error"), "the page is too long")
    })
}

/// A number of bytes, as people write it: digits only.
fn number(amount: &str) -> Option<u64> {
    let digits = amount.bytes().all(|byte| byte.is_ascii_digit());
    let number = amount.parse().ok().filter(|_| digits)?;
    (number <= bytes::MOST).then_some(number)
}

fn bad_amount(text: &mut Text) -> Answer {
    let answer = error(text, (400, "Bad Request"), "/bytes/N wants a number");
    // There is room for this.
    let _ = writeln!(text, "N is 0 to {}", bytes::MOST);
    answer
}

fn error(text: &mut Text, status: (u16, &'static str), why: &str) -> Answer {
    let (code, reason) = status;
    // There is room for this: nothing was written before.
    let _ = writeln!(text, "{code} {reason}: {why}");
    Answer {
        status,
        kind: PLAIN,
        bytes: None,
        varies: false,
        allow: false,
        last: false,
    }
}

fn refuse(refusal: Refusal, text: &mut Text) -> Answer {
    let status = match refusal {
        Refusal::Bad(_) => (400, "Bad Request"),
        Refusal::LongLine => (414, "URI Too Long"),
        Refusal::LongHead => (431, "Request Header Fields Too Large"),
        Refusal::Version => (505, "HTTP Version Not Supported"),
    };
    let (code, reason) = status;
    let _ = writeln!(text, "{code} {reason}: {refusal}");
    Answer {
        status,
        kind: PLAIN,
        bytes: None,
        varies: false,
        allow: false,
        // Where the next request would begin nobody knows.
        last: true,
    }
}
