//! As much of an HTTP/1.1 client as cases need.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Peer, TcpStream};
use crate::environment::seconds;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body).context("the body is no text")
    }

    fn parse(head: &[u8]) -> Result<HttpResponse> {
        let head = std::str::from_utf8(head).context("an HTTP head is text")?;
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap_or_default();
        let code = status
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        let status = code
            .and_then(|code| code.parse().ok())
            .with_context(|| format!("{status:?} is no status line of HTTP/1.1"))?;
        let headers = lines
            .map(|line| {
                let (name, value) = line
                    .split_once(':')
                    .with_context(|| format!("{line:?} is no header"))?;
                Ok((name.to_ascii_lowercase(), value.trim().to_string()))
            })
            .collect::<Result<_>>()?;
        Ok(HttpResponse {
            status,
            headers,
            body: Vec::new(),
        })
    }
}

impl Peer {
    /// GET on a connection of its own, as curl would ask.
    ///
    /// # Errors
    /// No connection, no answer, or none that HTTP/1.1 allows.
    pub fn http_get(
        &mut self,
        to: SocketAddr,
        path: &str,
        within: Duration,
    ) -> Result<HttpResponse> {
        let stream = self.tcp_connect(to, within)?;
        let response = self.http_get_on(&stream, path, within)?;
        self.tcp_close(stream, seconds(5))?;
        Ok(response)
    }

    /// GET on a connection that stays open.
    ///
    /// # Errors
    /// As for [`Peer::http_get`].
    pub fn http_get_on(
        &mut self,
        stream: &TcpStream,
        path: &str,
        within: Duration,
    ) -> Result<HttpResponse> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: usufruct\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n"
        );
        self.tcp_send(stream, request.as_bytes(), within)?;
        let head = self.tcp_receive_until(stream, b"\r\n\r\n", within)?;
        let mut response = HttpResponse::parse(&head)?;
        let length = response
            .header("content-length")
            .context("no Content-Length")?;
        let length = length
            .parse()
            .with_context(|| format!("Content-Length: {length}"))?;
        response.body = self.tcp_receive(stream, length, within)?;
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_and_nonsense_is_refused() {
        let response =
            HttpResponse::parse(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX:  y\r\n\r\n").unwrap();
        assert_eq!(
            (response.status, response.header("content-length")),
            (200, Some("3"))
        );
        assert_eq!(response.header("x"), Some("y"));
        for wrong in [
            &b"HTTP/1.0 200 OK\r\n\r\n"[..],
            b"",
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nx\r\n\r\n",
        ] {
            assert!(HttpResponse::parse(wrong).is_err());
        }
    }
}
