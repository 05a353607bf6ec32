//! What `run` says of the network before the boot.

use manifest::Service;

use crate::forwards::Forwards;
use crate::network::{Network, Tap};

/// Where the guest's network can be reached.
pub(super) fn network(network: &Network, tap: Option<&Tap>, words: &[String]) -> String {
    match network {
        Network::User(forwards) => forwarded(forwards, words),
        Network::Tap(name) => {
            let made = match tap.is_some_and(Tap::is_new) {
                true => format!(" (there was no {name}: it is made for this run)"),
                false => String::new(),
            };
            format!("The guest's network is on {name}: 10.0.2.0/24{made}.\n")
        }
        // QEMU sends to this address from its start on; bind it and read frames there.
        Network::Dgram(guest, host) => format!(
            "One frame a datagram: send to {}\n                      receive at {}\n",
            guest.display(),
            host.display()
        ),
        Network::Unplugged | Network::Custom(_) => String::new(),
    }
}

fn forwarded(forwards: &Forwards, words: &[String]) -> String {
    if let Some(word) = without_users(words) {
        return format!(
            "With {word} no users are started, so no ports of the host lead anywhere.\n"
        );
    }
    let mut text =
        String::from("Forwarded ports of 127.0.0.1 (tcp; echo, discard and chargen udp too):\n\n");
    for line in forwards.table().lines() {
        text.push_str(&format!("  {line}\n"));
    }
    if let Some((name, port)) = first_http(forwards) {
        text.push_str(&format!(
            "\nOnce the system is up: curl http://127.0.0.1:{port}/ asks {name}.\n"
        ));
    }
    text
}

/// The word of the kernel's command line because of which no users are started. It may be one of
/// several in an `--append`.
fn without_users(words: &[String]) -> Option<&str> {
    let words = || words.iter().flat_map(|words| words.split_whitespace());
    let other = words().find(|word| word.starts_with("init=") && *word != "init=init");
    // init takes the last.
    let mut users = words().filter(|word| ["users=on", "users=off"].contains(word));
    other.or(users.next_back().filter(|word| *word == "users=off"))
}

fn first_http(forwards: &Forwards) -> Option<(&str, u16)> {
    forwards.rows.iter().find_map(|row| {
        let (_, port) = row
            .ports
            .iter()
            .find(|(service, _)| *service == Service::Http)?;
        Some((row.name.as_deref()?, *port))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str]) -> String {
        let forwards = Forwards::of(&crate::users::manifest(2).unwrap(), 100).unwrap();
        let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        network(&Network::User(forwards), None, &words)
    }

    #[test]
    fn curl_is_advised_only_where_somebody_will_answer() {
        for words in [&[][..], &["users=off", "users=on"], &["init=init"]] {
            let said = said(words);
            assert!(said.contains("127.0.0.1:8181/ asks alice"), "{said}");
            assert!(said.contains("  alice "), "{said}");
        }
        for word in ["users=off", "init=hello", "log=warn users=off"] {
            let said = said(&[word]);
            assert!(!said.contains("curl") && !said.contains("alice"), "{said}");
            assert!(said.contains("no users are started"), "{said}");
        }
    }
}
