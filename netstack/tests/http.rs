//! HTTP, as clients and their enemies speak it.

mod world;

use netstack::Duration;
use netstack::service::http::bytes;
use world::config;
use world::meeting::Meeting;

fn split(answer: &[u8]) -> (String, &[u8]) {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    (
        String::from_utf8(answer[..end].to_vec()).unwrap(),
        &answer[end..],
    )
}

fn text(answer: &[u8]) -> (String, String) {
    let (head, body) = split(answer);
    (head, String::from_utf8(body.to_vec()).unwrap())
}

fn length(head: &str) -> usize {
    let line = head
        .lines()
        .find(|line| line.starts_with("Content-Length: "));
    line.unwrap()["Content-Length: ".len()..].parse().unwrap()
}

fn expected(length: usize) -> Vec<u8> {
    let mut expected = vec![0; length];
    bytes::fill(0, &mut expected);
    expected
}

/// Sends requests on one connection, and returns everything that comes until the stack closes or
/// nothing more comes.
fn raw(requests: &[u8]) -> Vec<u8> {
    let mut meeting = Meeting::new(config(false));
    let handle = meeting.connect(80);
    let mut answer = Vec::new();
    meeting.socket(handle).send_slice(requests).unwrap();
    meeting.until(Duration::from_secs(5), |meeting| {
        let socket = meeting.socket(handle);
        while socket.can_recv() {
            let taken = socket.recv(|b| {
                answer.extend_from_slice(b);
                (b.len(), b.len())
            });
            if taken.unwrap() == 0 {
                break;
            }
        }
        !socket.may_recv()
    });
    answer
}

#[test]
fn the_page_tells_of_the_user() {
    let mut meeting = Meeting::new(config(true));
    let (head, body) = text(&meeting.get("/"));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/plain"), "{head}");
    assert_eq!(length(&head), body.len());
    for fact in [
        "alice",
        "02:75:73:00:00:01",
        "10.0.0.2/24",
        "10.0.0.254",
        "fd00::2",
        "fe80::75:73ff:fe00:1",
        "2048",
        "777",
        "888",
        "frames received      12",
        "no spare page        3",
        "http connections     1",
    ] {
        assert!(body.contains(fact), "{fact} in {body}");
    }
}

#[test]
fn browsers_get_the_same_as_html() {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: Mozilla/5.0\r\n\
        Accept: text/html,*/*;q=0.8\r\nConnection: close\r\n\r\n";
    let (head, body) = text(&raw(request));
    assert!(head.contains("Content-Type: text/html"), "{head}");
    assert!(head.contains("Vary: Accept"), "{head}");
    assert_eq!(length(&head), body.len());
    assert!(
        body.starts_with("<!doctype html>") && body.ends_with("</html>\n"),
        "{body}"
    );
    for fact in ["<h1>alice</h1>", "<td>10.0.0.2/24</td>", "<td>777</td>"] {
        assert!(body.contains(fact), "{fact} in {body}");
    }
    let opened = body.matches("<table>").count();
    assert_eq!(opened, body.matches("</table>").count());
    assert!(opened >= 4);
}

#[test]
fn a_name_is_not_markup() {
    let mut config = config(false);
    config.name = "<script>&".into();
    let mut meeting = Meeting::new(config);
    let handle = meeting.connect(80);
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nConnection: close\r\n\r\n";
    let (_, body) = text(&meeting.converse(handle, request, usize::MAX));
    assert!(body.contains("<h1>&lt;script&gt;&amp;</h1>"), "{body}");
    assert!(!body.contains("<script>"));
}

#[test]
fn the_page_comes_as_json_too() {
    let mut meeting = Meeting::new(config(true));
    let (head, body) = text(&meeting.get("/stats.json"));
    assert!(head.contains("Content-Type: application/json"), "{head}");
    assert_eq!(length(&head), body.len());
    for fact in [
        r#""name":"alice""#,
        r#""ipv4":"10.0.0.2""#,
        r#""ipv6":["fe80::75:73ff:fe00:1","fd00::2"]"#,
        r#""bank":{"limit":2048,"bought":777,"limbo":5,"high_water":888,"children":1}"#,
        r#""frames received":12"#,
    ] {
        assert!(body.contains(fact), "{fact} in {body}");
    }
}

#[test]
fn bytes_are_the_ones_asked_for() {
    let mut meeting = Meeting::new(config(false));
    for amount in [
        0, 1, 15, 16, 17, 1459, 1460, 1461, 65_535, 65_536, 65_537, 1_000_003,
    ] {
        let answer = meeting.get(&format!("/bytes/{amount}"));
        let (head, body) = split(&answer);
        assert_eq!(length(&head), amount);
        assert!(body == expected(amount), "/bytes/{amount}");
    }
}

#[test]
fn a_request_for_tebibytes_is_begun_without_being_made() {
    let mut meeting = Meeting::new(config(false));
    let before = meeting.world.stack.memory();
    let handle = meeting.connect(80);
    let request = format!("GET /bytes/{} HTTP/1.1\r\nHost: a\r\n\r\n", bytes::MOST);
    let answer = meeting.converse(handle, request.as_bytes(), 1 << 20);
    let (head, body) = split(&answer);
    assert_eq!(length(&head) as u64, bytes::MOST);
    assert!(body == expected(body.len()));
    assert!(meeting.world.stack.memory() - before < 1 << 20);
}

#[test]
fn head_is_get_without_the_content() {
    let answer = raw(
        b"HEAD /bytes/12345 HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\
        Connection: close\r\n\r\n",
    );
    let (first, rest) = split(&answer);
    assert_eq!(length(&first), 12345);
    let (second, rest) = split(rest);
    assert!(length(&second) > 100);
    assert!(rest.is_empty());
}

#[test]
fn connections_stay_and_requests_queue_up() {
    let mut requests = Vec::new();
    for amount in 0..40 {
        requests.extend(format!("GET /bytes/{} HTTP/1.1\r\nHost: a\r\n\r\n", amount * 37).bytes());
    }
    requests.extend(b"GET /bytes/7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let answer = raw(&requests);
    let mut rest = &answer[..];
    for amount in (0..40).map(|n| n * 37).chain([7]) {
        let (head, after) = split(rest);
        assert_eq!(length(&head), amount);
        assert!(after[..amount] == expected(amount));
        assert_eq!(head.contains("Connection: close"), amount == 7);
        rest = &after[amount..];
    }
    assert!(rest.is_empty());
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let mut meeting = Meeting::new(config(false));
    let handle = meeting.connect(80);
    let request = b"GET /bytes/3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for byte in request {
        meeting.socket(handle).send_slice(&[*byte]).unwrap();
        meeting.pass(Duration::from_millis(20));
    }
    let answer = meeting.converse(handle, b"", usize::MAX);
    assert_eq!(split(&answer).1, b"000");
}

#[test]
fn old_clients_are_answered_and_left() {
    let (head, _) = text(&raw(b"GET / HTTP/1.0\r\n\r\n"));
    assert!(head.contains("Connection: close"), "{head}");
    let two =
        b"GET /bytes/1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /bytes/2 HTTP/1.0\r\n\r\n";
    let answer = raw(two);
    let (head, rest) = split(&answer);
    assert!(head.contains("Connection: keep-alive"), "{head}");
    assert_eq!(split(&rest[1..]).1, b"00");
}

#[test]
fn what_is_wrong_gets_the_right_answer() {
    let line = "a".repeat(5000);
    let field = "a".repeat(9000);
    let fields = "A: b\r\n".repeat(100);
    let cases = [
        (
            "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            "404 Not Found",
            false,
        ),
        (
            "GET /bytes/ HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            "400 Bad Request",
            false,
        ),
        (
            "GET /bytes/-1 HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            "400 Bad Request",
            false,
        ),
        (
            "GET /bytes/1e3 HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            "400 Bad Request",
            false,
        ),
        (
            format!("GET /bytes/{} HTTP/1.1\r\nHost: a\r\n\r\n", bytes::MOST + 1),
            "400 Bad Request",
            false,
        ),
        (
            "GET /bytes/99999999999999999999999 HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            "400 Bad Request",
            false,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".into(),
            "405 Method Not Allowed",
            true,
        ),
        (
            "BREW / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
            "405 Method Not Allowed",
            false,
        ),
        (
            format!("GET /{line} HTTP/1.1\r\nHost: a\r\n\r\n"),
            "414 URI Too Long",
            true,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: {field}\r\n\r\n"),
            "431 Request Header Fields Too Large",
            true,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"),
            "431 Request Header Fields Too Large",
            true,
        ),
        (
            "GET / HTTP/2.0\r\n\r\n".into(),
            "505 HTTP Version Not Supported",
            true,
        ),
        ("GET / HTTP/1.1\r\n\r\n".into(), "400 Bad Request", true),
        (
            "\u{16}\u{3}\u{1}\0garbage\r\n\r\n".into(),
            "400 Bad Request",
            true,
        ),
    ];
    for (request, status, closes) in cases {
        let answer = raw(request.as_bytes());
        let (head, body) = text(&answer);
        let start: String = request.chars().take(40).collect();
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{start}: {head}"
        );
        assert_eq!(
            head.contains("Connection: close"),
            closes,
            "{start}: {head}"
        );
        assert_eq!(
            head.contains("Allow: GET, HEAD"),
            status.starts_with("405"),
            "{start}"
        );
        assert!(body.starts_with(&status[..3]), "{start}: {body}");
    }
}

#[test]
fn a_client_that_closes_its_half_is_still_answered() {
    let mut meeting = Meeting::new(config(false));
    let handle = meeting.connect(80);
    let request = b"GET /bytes/200000 HTTP/1.1\r\nHost: a\r\n\r\n";
    meeting.socket(handle).send_slice(request).unwrap();
    meeting.socket(handle).close();
    let answer = meeting.converse(handle, b"", usize::MAX);
    assert!(split(&answer).1 == expected(200_000));
    assert!(
        meeting.until(Duration::from_secs(1), |m| m.world.stack.connections()
            == [0; 4])
    );
}

#[test]
fn who_dribbles_a_request_is_dropped() {
    let mut meeting = Meeting::new(config(false));
    let handle = meeting.connect(80);
    meeting
        .socket(handle)
        .send_slice(b"GET / HTTP/1.1\r\n")
        .unwrap();
    let mut fields = 0;
    // A field every half second, for ever.
    while meeting.socket(handle).may_send() && fields < 100 {
        meeting.socket(handle).send_slice(b"X: y\r\n").unwrap();
        meeting.pass(Duration::from_millis(500));
        fields += 1;
    }
    assert!(
        (15..25).contains(&fields),
        "dropped after {fields} half seconds, not ten seconds"
    );
    assert_eq!(meeting.world.stack.counters().expired, 1);
    assert_eq!(meeting.world.stack.connections(), [0; 4]);
}

#[test]
fn who_says_nothing_is_dropped_in_the_end() {
    let mut meeting = Meeting::new(config(false));
    let handle = meeting.connect(80);
    let request = b"GET /bytes/1 HTTP/1.1\r\nHost: a\r\n\r\n";
    meeting.converse(handle, request, 100);
    meeting.pass(Duration::from_secs(55));
    assert_eq!(meeting.world.stack.connections(), [1, 0, 0, 0]);
    meeting.pass(Duration::from_secs(10));
    assert_eq!(meeting.world.stack.connections(), [0; 4]);
}

#[test]
fn who_never_reads_is_dropped_in_the_end() {
    let mut meeting = Meeting::new(config(false));
    let handle = meeting.connect(80);
    let request = b"GET /bytes/100000000 HTTP/1.1\r\nHost: a\r\n\r\n";
    meeting.socket(handle).send_slice(request).unwrap();
    // The peer's window fills and stays shut; its stack answers every probe.
    meeting.pass(Duration::from_secs(30));
    assert_eq!(meeting.world.stack.connections(), [1, 0, 0, 0]);
    meeting.pass(Duration::from_secs(90));
    assert_eq!(meeting.world.stack.connections(), [0; 4]);
    assert!(!meeting.get("/").is_empty());
}

#[test]
fn who_reads_a_slow_trickle_is_dropped_too() {
    let mut meeting = Meeting::new(config(false));
    let handle = meeting.connect(80);
    let request = b"GET /bytes/100000000 HTTP/1.1\r\nHost: a\r\n\r\n";
    meeting.socket(handle).send_slice(request).unwrap();
    meeting.pass(Duration::from_secs(5));
    for _ in 0..100 {
        let _ = meeting.socket(handle).recv(|b| (b.len().min(3), ()));
        meeting.pass(Duration::from_secs(2));
    }
    assert_eq!(meeting.world.stack.connections(), [0; 4]);
}

#[test]
fn a_service_that_is_off_refuses() {
    let mut config = config(false);
    config.services.http = false;
    let mut meeting = Meeting::new(config);
    let handle = meeting.dial(smoltcp::wire::IpAddress::v4(10, 0, 0, 2), 80);
    meeting.pass(Duration::from_secs(2));
    assert!(!meeting.socket(handle).is_open(), "reset at once");
}
