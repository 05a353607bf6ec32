//! The text of a cost profile.

use costmodel::{MILLI, MOST_TICKS, Price};
use toml::{Table, Value};

use super::{Entry, Error, Letter, Origin, Profile, in_ticks};

/// What only a machine with an IOMMU has prices for.
const IOMMU: [Price; 4] = [
    Price::IommuMap,
    Price::IommuUnmap,
    Price::IommuInvalidation,
    Price::IommuWait,
];

const TOP: &[&str] = &["name", "nature", "hertz", "iommu", "prices"];
const PARTS: &[&str] = &["low", "likely", "high", "source", "from"];

pub(super) fn profile(file: &str, text: &str) -> Result<Profile, Error> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let message = error.to_string();
        Error::new(file, "the text", message.trim(), "TOML (docs/crossover.md)")
    })?;
    known(file, "the profile", &table, TOP)?;
    let name = string(file, "name", &table, "name")?;
    let nature = string(file, "nature", &table, "nature")?;
    let origins = [Origin::Literature, Origin::Calibrated];
    let origin = origins.into_iter().find(|origin| origin.name() == nature);
    let origin = origin.ok_or_else(|| {
        let right = "\"from the literature\" or \"calibrated\"";
        Error::new(file, "nature", format!("\"{nature}\""), right)
    })?;
    let hertz = match table.get("hertz") {
        Some(Value::Integer(hertz)) if (1_000_000..=1_000_000_000_000).contains(hertz) => {
            hertz.unsigned_abs()
        }
        other => {
            let right = "ticks a second, a whole number from 1_000_000 on";
            return Err(Error::new(file, "hertz", shown(other), right));
        }
    };
    let iommu = match table.get("iommu") {
        Some(Value::Boolean(iommu)) => *iommu,
        other => return Err(Error::new(file, "iommu", shown(other), "true or false")),
    };
    let prices = match table.get("prices") {
        Some(Value::Table(prices)) => prices,
        other => return Err(Error::new(file, "prices", shown(other), "a table")),
    };
    let names: Vec<&str> = Price::ALL.iter().map(|price| price.name()).collect();
    known(file, "prices", prices, &names)?;
    let mut entries = Vec::new();
    for &price in Price::ALL {
        let right = format!("low, likely, high, source and from: {}", price.meaning());
        match prices.get(price.name()) {
            Some(_) if !iommu && IOMMU.contains(&price) => {
                let right = "none, as the profile says iommu = false";
                return Err(Error::new(file, price.name(), "a price", right));
            }
            None if !iommu && IOMMU.contains(&price) => (),
            Some(Value::Table(parts)) => entries.push((price, entry(file, price, parts)?)),
            other => return Err(Error::new(file, price.name(), shown(other), right)),
        }
    }
    Ok(Profile {
        name,
        origin,
        hertz,
        iommu,
        entries,
    })
}

fn entry(file: &str, price: Price, parts: &Table) -> Result<Entry, Error> {
    known(file, price.name(), parts, PARTS)?;
    let [low, likely, high] = ["low", "likely", "high"].map(|part| ticks(file, price, parts, part));
    let (low, likely, high) = (low?, likely?, high?);
    if low > likely || likely > high {
        let found = format!(
            "low {}, likely {}, high {}",
            in_ticks(low),
            in_ticks(likely),
            in_ticks(high)
        );
        let right = "low, likely and high in ascending order";
        return Err(Error::new(file, price.name(), found, right));
    }
    let parameter = format!("{}, source", price.name());
    let letter = string(file, &parameter, parts, "source")?;
    let source = Letter::ALL.into_iter().find(|one| one.name() == letter);
    let source = source.ok_or_else(|| {
        let right = "F, F2, R, M or E (docs/crossover.md says what they mean)";
        Error::new(file, &parameter, format!("\"{letter}\""), right)
    })?;
    let from = string(file, &format!("{}, from", price.name()), parts, "from")?;
    Ok(Entry {
        low,
        likely,
        high,
        source,
        from,
    })
}

/// A price's number, in thousandths of a tick.
fn ticks(file: &str, price: Price, parts: &Table, part: &str) -> Result<u64, Error> {
    let wrong = |value: Option<&Value>| {
        let parameter = format!("{}, {part}", price.name());
        let right = format!("ticks, from 0 to {MOST_TICKS}, with at most three decimals");
        Error::new(file, &parameter, shown(value), right)
    };
    let value = parts.get(part);
    let ticks = match value {
        Some(Value::Integer(ticks)) => *ticks as f64,
        Some(Value::Float(ticks)) => *ticks,
        other => return Err(wrong(other)),
    };
    let milliticks = ticks * MILLI as f64;
    let whole = milliticks.round();
    if !(0.0..=(MOST_TICKS * MILLI) as f64).contains(&milliticks)
        || (milliticks - whole).abs() > 1e-3
    {
        return Err(wrong(value));
    }
    Ok(whole as u64)
}

fn string(file: &str, parameter: &str, table: &Table, key: &str) -> Result<String, Error> {
    match table.get(key) {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.clone()),
        other => Err(Error::new(file, parameter, shown(other), "a text")),
    }
}

fn known(file: &str, place: &str, table: &Table, names: &[&str]) -> Result<(), Error> {
    match table.keys().find(|key| !names.contains(&key.as_str())) {
        Some(key) => Err(Error::new(
            file,
            place,
            format!("unknown \"{key}\""),
            names.join(", "),
        )),
        None => Ok(()),
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        Some(value) => value.to_string(),
        None => "missing".into(),
    }
}

pub(super) fn text(profile: &Profile, head: &str) -> String {
    let mut text = String::new();
    for line in head.lines() {
        text.push_str(format!("# {line}").trim_end());
        text.push('\n');
    }
    let quoted = |text: &str| Value::String(text.into()).to_string();
    text.push_str(&format!(
        "name = {}\nnature = {}\nhertz = {}\niommu = {}\n\n[prices]\n",
        quoted(&profile.name),
        quoted(profile.origin.name()),
        profile.hertz,
        profile.iommu
    ));
    for (price, entry) in &profile.entries {
        text.push_str(&format!(
            "{} = {{ low = {}, likely = {}, high = {}, source = \"{}\", from = {} }}\n",
            price.name(),
            in_ticks(entry.low),
            in_ticks(entry.likely),
            in_ticks(entry.high),
            entry.source.name(),
            quoted(&entry.from)
        ));
    }
    text
}
