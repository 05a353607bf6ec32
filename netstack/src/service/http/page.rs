//! The page about the user: as text, as HTML, as JSON.

use core::fmt::{self, Display, Write};
use core::net::IpAddr;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::response::Text;
use crate::address::{Ipv6, Stage, Until};
use crate::counters::Drop;
use crate::report::Report;
use crate::service::Kind;
use crate::text::ShowMac;

/// A part of the page.
enum Part<'a> {
    /// A heading.
    Heading(&'a str),
    /// A label and its value.
    Row(&'a str, &'a dyn Display),
}

type Visitor<'v> = &'v mut dyn FnMut(Part) -> fmt::Result;

/// Goes through the page, part by part.
fn parts(report: &Report, visit: Visitor) -> fmt::Result {
    visit(Part::Heading("Addresses"))?;
    visit(Part::Row("MAC", &ShowMac(report.config.mac)))?;
    addresses(report, visit)?;
    if let Some(bank) = report.facts.bank() {
        visit(Part::Heading("Bank (pages of 4 KiB)"))?;
        for (label, value) in [
            ("limit", bank.limit),
            ("bought", bank.bought),
            ("in limbo", bank.limbo),
            ("high water", bank.high_water),
            ("child banks", bank.children),
        ] {
            visit(Part::Row(label, &value))?;
        }
    }
    let mut heading = false;
    let mut outcome = Ok(());
    (report.session)(&mut |label, value| {
        if outcome.is_ok() && !heading {
            outcome = visit(Part::Heading("Session with the ethernet driver"));
            heading = true;
        }
        if outcome.is_ok() {
            outcome = visit(Part::Row(label, &value));
        }
    });
    outcome?;
    visit(Part::Heading("Stack"))?;
    visit(Part::Row("up", &Seconds(report)))?;
    for (label, value) in counters(report) {
        visit(Part::Row(label, &value))?;
    }
    for (kind, count) in Kind::ALL.iter().zip(report.connections) {
        visit(Part::Row(connections_of(*kind), &count))?;
    }
    for reason in Drop::ALL {
        let count = report.counters.dropped(reason);
        if count > 0 {
            visit(Part::Row(reason.name(), &Dropped(count)))?;
        }
    }
    Ok(())
}

fn addresses(report: &Report, visit: Visitor) -> fmt::Result {
    let own = report.addresses;
    match own.ipv4 {
        Some(ipv4) => {
            let text = format_args!("{}/{}", ipv4.address, ipv4.length);
            visit(Part::Row("IPv4", &text))?;
            if let Some(gateway) = ipv4.gateway {
                visit(Part::Row("IPv4 router", &gateway))?;
            }
        }
        None => visit(Part::Row("IPv4", &"none"))?,
    }
    for ipv6 in &own.ipv6 {
        visit(Part::Row("IPv6", &ShowIpv6(ipv6, report)))?;
    }
    for (router, _) in &own.routers {
        visit(Part::Row("IPv6 router", router))?;
    }
    for server in name_servers(report) {
        visit(Part::Row("name server", &server))?;
    }
    Ok(())
}

fn name_servers<'a>(report: &Report<'a>) -> impl Iterator<Item = IpAddr> + 'a {
    let told = report.dns.iter().map(|server| IpAddr::V4(*server));
    report.config.dns.iter().copied().chain(told)
}

fn counters(report: &Report) -> [(&'static str, u64); 11] {
    let counters = report.counters;
    [
        ("frames in", counters.frames_in),
        ("bytes in", counters.bytes_in),
        ("frames out", counters.frames_out),
        ("bytes out", counters.bytes_out),
        ("unsent", counters.unsent),
        ("pings", counters.pings),
        ("datagrams", counters.datagrams),
        ("http requests", counters.requests),
        ("tcp accepted", counters.accepted),
        ("tcp refused", counters.refused),
        ("tcp expired", counters.expired),
    ]
}

fn connections_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Http => "http connections",
        Kind::Echo => "echo connections",
        Kind::Discard => "discard connections",
        Kind::Chargen => "chargen connections",
    }
}

struct Dropped(u64);

impl Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dropped", self.0)
    }
}

struct Seconds<'a>(&'a Report<'a>);

impl Display for Seconds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = (self.0.now - self.0.started).total_millis();
        write!(f, "{}.{:03} s", millis / 1000, millis % 1000)
    }
}

struct ShowIpv6<'a>(&'a Ipv6, &'a Report<'a>);

impl Display for ShowIpv6<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShowIpv6(own, report) = self;
        own.address.fmt(f)?;
        match own.stage {
            Stage::Tentative { .. } => f.write_str(" (being checked)")?,
            Stage::Duplicate => f.write_str(" (taken by somebody else)")?,
            Stage::Assigned if own.preferred.is_over(report.now) => f.write_str(" (deprecated)")?,
            Stage::Assigned => {}
        }
        if let Until::Instant(end) = own.valid
            && end > report.now
        {
            write!(f, " for {} s", (end - report.now).secs())?;
        }
        Ok(())
    }
}

/// The page as text.
pub fn text(report: &Report, into: &mut Text) -> fmt::Result {
    writeln!(into, "{}, a user of Usufruct", report.config.name)?;
    parts(report, &mut |part| match part {
        Part::Heading(heading) => write!(into, "\n{heading}\n"),
        Part::Row(label, value) => writeln!(into, "  {label:<20} {value}"),
    })
}

/// Text that is safe between HTML's tags.
struct Escaped<'a>(&'a dyn Display);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escape<'a, 'b>(&'a mut fmt::Formatter<'b>);
        impl Write for Escape<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                for character in text.chars() {
                    match character {
                        '&' => self.0.write_str("&amp;")?,
                        '<' => self.0.write_str("&lt;")?,
                        '>' => self.0.write_str("&gt;")?,
                        '"' => self.0.write_str("&quot;")?,
                        _ => self.0.write_char(character)?,
                    }
                }
                Ok(())
            }
        }
        write!(Escape(f), "{}", self.0)
    }
}

const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem;\
color:#222;background:#fff}\
h1{font-size:1.6rem;margin:0}h2{font-size:1.05rem;margin:1.6rem 0 .3rem}\
table{border-collapse:collapse;width:100%}\
td{padding:.15rem .6rem .15rem 0;border-bottom:1px solid #ddd;vertical-align:top}\
td:first-child{color:#666;width:40%}td:last-child{font-variant-numeric:tabular-nums}\
a{color:#05c}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}\
td{border-color:#333}td:first-child{color:#999}a{color:#8bf}}";

/// The page as HTML.
pub fn html(report: &Report, into: &mut Text) -> fmt::Result {
    let name = Escaped(&report.config.name);
    write!(
        into,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{name} on Usufruct</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{name}</h1>\n<p>A user of Usufruct, answering from a network stack that lives in \
         memory bought from its own bank. <a href=\"/stats.json\">The same as JSON</a>, \
         <a href=\"/bytes/1000\">a thousand bytes</a>.</p>\n"
    )?;
    let mut open = false;
    parts(report, &mut |part| match part {
        Part::Heading(heading) => {
            if core::mem::replace(&mut open, true) {
                into.write_str("</table>\n")?;
            }
            writeln!(into, "<h2>{}</h2>\n<table>", Escaped(&heading))
        }
        Part::Row(label, value) => writeln!(
            into,
            "<tr><td>{}</td><td>{}</td></tr>",
            Escaped(&label),
            Escaped(value)
        ),
    })?;
    into.write_str("</table>\n</body>\n</html>\n")
}

/// The page as JSON.
pub fn json(report: &Report, into: &mut Text) -> fmt::Result {
    let begin = into.into.len();
    // There is capacity for `most` bytes, so nothing is allocated.
    into.into.resize(into.most, 0);
    match serde_json_core::to_slice(&Json(report), &mut into.into[begin..into.most - 1]) {
        Ok(length) => {
            into.into.truncate(begin + length);
            into.into.push(b'\n');
            Ok(())
        }
        Err(_) => Err(fmt::Error),
    }
}

struct Json<'a>(&'a Report<'a>);
struct JsonAddresses<'a>(&'a Report<'a>);
struct JsonIpv6<'a>(&'a Report<'a>);
struct JsonDns<'a>(&'a Report<'a>);
struct JsonSession<'a>(&'a Report<'a>);
struct JsonCounts<I>(I);
struct JsonText<T>(T);

impl<T: Display> Serialize for JsonText<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'a, I: Iterator<Item = (&'a str, u64)> + Clone> Serialize for JsonCounts<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0.clone() {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

impl Serialize for JsonSession<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut outcome = Ok(());
        (self.0.session)(&mut |name, value| {
            if outcome.is_ok() {
                outcome = map.serialize_entry(name, &value);
            }
        });
        outcome?;
        map.end()
    }
}

impl Serialize for JsonIpv6<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let assigned = self.0.addresses.assigned();
        serializer.collect_seq(assigned.map(|own| JsonText(own.address)))
    }
}

impl Serialize for JsonDns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(name_servers(self.0).map(JsonText))
    }
}

impl Serialize for JsonAddresses<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.0;
        let ipv4 = report.addresses.ipv4;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("mac", &JsonText(ShowMac(report.config.mac)))?;
        map.serialize_entry("ipv4", &ipv4.map(|own| JsonText(own.address)))?;
        map.serialize_entry("ipv4_prefix", &ipv4.map(|own| own.length))?;
        let gateway = ipv4.and_then(|own| own.gateway).map(JsonText);
        map.serialize_entry("ipv4_router", &gateway)?;
        map.serialize_entry("ipv6", &JsonIpv6(report))?;
        map.serialize_entry("dns", &JsonDns(report))?;
        map.end()
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.0;
        let bank = report.facts.bank().map(|bank| {
            JsonCounts(
                [
                    ("limit", bank.limit),
                    ("bought", bank.bought),
                    ("limbo", bank.limbo),
                    ("high_water", bank.high_water),
                    ("children", bank.children),
                ]
                .into_iter(),
            )
        });
        let connections = Kind::ALL
            .iter()
            .zip(report.connections)
            .map(|(kind, count)| (kind.name(), u64::from(count)));
        let dropped = Drop::ALL.map(|reason| (reason.name(), report.counters.dropped(reason)));
        let uptime = (report.now - report.started).total_millis();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", report.config.name.as_str())?;
        map.serialize_entry("uptime_ms", &uptime)?;
        map.serialize_entry("addresses", &JsonAddresses(report))?;
        map.serialize_entry("bank", &bank)?;
        map.serialize_entry("session", &JsonSession(report))?;
        map.serialize_entry("stack", &JsonCounts(counters(report).into_iter()))?;
        map.serialize_entry("connections", &JsonCounts(connections))?;
        map.serialize_entry("dropped", &JsonCounts(dropped.into_iter()))?;
        map.end()
    }
}
