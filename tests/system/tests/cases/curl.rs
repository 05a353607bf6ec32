//! What a newcomer does: curl, and a datagram, to forwarded ports.

use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use manifest::Service;
use system::{Case, Entry, seconds};

use super::common::{Asking, forwarded};

pub const CASES: &[Entry] = &[
    ("curl.two_users_answer_at_once", pages),
    ("curl.a_browser_gets_html", html),
    ("curl.bytes_come_whole_over_one_connection", bytes),
    ("curl.a_path_that_is_not_there_is_not_found", not_found),
    ("curl.datagrams_come_back", datagrams),
];

/// curl, without a proxy and never waiting for long.
fn curl(arguments: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--noproxy",
            "*",
        ])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn output(command: &mut Command) -> Result<Output> {
    let output = command.output().context("curl can't be run")?;
    ensure!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}

fn url(port: u16, path: &str) -> String {
    format!("http://127.0.0.1:{port}{path}")
}

fn pages(case: &Case) -> Result<()> {
    let guest = forwarded(case)?;
    for _ in 0..5 {
        let mut running = Vec::new();
        for (name, address) in [("alice", "10.0.2.21"), ("bob", "10.0.2.22")] {
            let url = url(guest.port(name, Service::Http)?, "/");
            running.push((name, address, curl(&[&url]).spawn()?));
        }
        for (name, address, child) in running {
            let output = child.wait_with_output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            ensure!(output.status.success(), "{name}: {:?}", output);
            for words in [name, address, "Bank", "Session", "02:75:73"] {
                ensure!(text.contains(words), "no {words} in\n{text}");
            }
            ensure!(!text.contains('<'), "text, not HTML, is for curl:\n{text}");
        }
    }
    Ok(())
}

fn html(case: &Case) -> Result<()> {
    let guest = forwarded(case)?;
    let url = url(guest.port("alice", Service::Http)?, "/");
    let agent = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0";
    let accept = "Accept: text/html,application/xhtml+xml,*/*;q=0.8";
    let got = output(&mut curl(&["-A", agent, "-H", accept, "-i", &url]))?;
    let text = String::from_utf8_lossy(&got.stdout).to_lowercase();
    for words in [
        "content-type: text/html",
        "<!doctype html>",
        "alice",
        "</html>",
    ] {
        ensure!(text.contains(words), "no {words} in\n{text}");
    }
    Ok(())
}

/// `/bytes/N` is lines of 16 bytes, each the offset at which it begins.
fn content(length: usize) -> Vec<u8> {
    let lines = (0..=length / 16).flat_map(|line| format!("{:015x}\n", line * 16).into_bytes());
    lines.take(length).collect()
}

fn bytes(case: &Case) -> Result<()> {
    let guest = forwarded(case)?;
    for name in ["alice", "bob"] {
        let port = guest.port(name, Service::Http)?;
        let lengths = [0, 1, 1460, 100_003, 5_000_000];
        let urls = lengths.map(|length| url(port, &format!("/bytes/{length}")));
        let mut arguments: Vec<&str> = urls.iter().map(String::as_str).collect();
        arguments.extend(["-w", "%{stderr}%{num_connects} "]);
        let got = output(&mut curl(&arguments))?;
        let wanted: Vec<u8> = lengths.iter().flat_map(|length| content(*length)).collect();
        ensure!(got.stdout == wanted, "{name}: {} bytes", got.stdout.len());
        let connects = String::from_utf8_lossy(&got.stderr).into_owned();
        ensure!(
            connects.trim() == "1 0 0 0 0",
            "{name}: connections {connects}"
        );
    }
    Ok(())
}

fn not_found(case: &Case) -> Result<()> {
    let guest = forwarded(case)?;
    let url = url(guest.port("bob", Service::Http)?, "/nothing");
    let got = output(&mut curl(&["-o", "/dev/null", "-w", "%{http_code}", &url]))?;
    ensure!(got.stdout == b"404", "{got:?}");
    Ok(())
}

fn datagrams(case: &Case) -> Result<()> {
    let guest = forwarded(case)?;
    let mut asking = Vec::new();
    for name in ["alice", "bob"] {
        asking.push(Asking::echoes(guest.port(name, Service::Echo)?)?);
    }
    std::thread::sleep(seconds(2));
    for one in asking {
        let count = one.stop()?;
        ensure!(count > 100, "only {count} datagrams came back");
    }
    Ok(())
}
