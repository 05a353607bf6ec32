//! Numbers of the command line: each error says what would be right.

/// A whole number from `least` to `most`.
fn number(text: &str, least: u64, most: u64, what: &str, example: u64) -> Result<u64, String> {
    let number = text.parse().ok();
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("it must be {what}, {least} to {most}, such as {example}"))
}

/// Most seconds that can be asked for: a year, which any clock can add.
const YEAR: u64 = 365 * 24 * 3600;

/// A time limit in seconds: with none at all nothing could end in time.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    number(text, 1, YEAR, "a number of seconds", 60)
}

/// A frame's length: what the crossover is counted for.
pub(super) fn frame(text: &str) -> Result<u32, String> {
    let count = number(text, 60, 65_536, "a number of bytes", 1514)?;
    u32::try_from(count).map_err(|error| error.to_string())
}

/// Frames delivered together.
pub(super) fn batch(text: &str) -> Result<u32, String> {
    let count = number(text, 1, 64, "a number of frames", 32)?;
    u32::try_from(count).map_err(|error| error.to_string())
}

/// How many users.
pub(super) fn users(text: &str) -> Result<u32, String> {
    let most = crate::users::MAX_USERS;
    let count = number(
        text,
        0,
        most.into(),
        "a number of users (--manifest serves more)",
        2,
    )?;
    u32::try_from(count).map_err(|error| error.to_string())
}

/// How many CPUs.
pub(super) fn cpus(text: &str) -> Result<u32, String> {
    let count = number(
        text,
        1,
        crate::machine::MAX_CPUS.into(),
        "a number of CPUs",
        2,
    )?;
    u32::try_from(count).map_err(|error| error.to_string())
}

/// What is added to ports.
pub(super) fn port_offset(text: &str) -> Result<u32, String> {
    let offset = number(text, 0, u16::MAX.into(), "what is added to ports", 100)?;
    u32::try_from(offset).map_err(|error| error.to_string())
}

/// A port.
pub(super) fn port(text: &str) -> Result<u16, String> {
    let port = number(text, 1, u16::MAX.into(), "a port", 1234)?;
    u16::try_from(port).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_number_is_told_what_is_right() {
        assert_eq!(seconds("1"), Ok(1));
        for wrong in ["0", "x", "", "-1", "1.5", "18446744073709551615"] {
            let error = seconds(wrong).unwrap_err();
            assert!(error.contains("a number of seconds, 1 to"), "{error}");
        }
        assert_eq!(users("0"), Ok(0));
        assert!(users("x").unwrap_err().contains("0 to 200, such as 2"));
        assert!(users("201").unwrap_err().contains("--manifest"));
        assert_eq!(cpus("255"), Ok(255));
        assert!(cpus("0").unwrap_err().contains("1 to 255"));
        assert_eq!(port_offset("0"), Ok(0));
        assert!(port_offset("x").unwrap_err().contains("such as 100"));
        assert_eq!(port("65535"), Ok(65535));
        assert!(port("0").is_err() && port("65536").is_err());
    }
}
