//! What a frame must be to be sent. What is checked is the driver's own copy of its first bytes.

use dev::Mac;
use dev::statistics::Counter;

use crate::bound::Bindings;
use crate::frame::{HEADER, Header, kind};

/// Whether the port may send a frame with this header.
///
/// # Errors
/// Which counter counts the refusal.
#[inline]
pub fn header(header: &Header, mac: Mac, length: u32) -> Result<(), Counter> {
    if header.source != mac {
        return Err(Counter::SpoofedMac);
    }
    // The link is everybody's: nobody stops it, or has it lead elsewhere.
    let to_bridges = header.destination.is_group() && header.destination.is_link_control();
    if to_bridges || header.kind == kind::CONTROL {
        return Err(Counter::LinkControl);
    }
    if header.kind < kind::FIRST
        && (header.kind > kind::LONGEST || header.kind as u32 > length - HEADER)
    {
        return Err(Counter::BadType);
    }
    Ok(())
}

/// Whether a port with bound IP addresses may send a frame that begins so. `bytes` are its first
/// bytes, header and all, as many as were copied; `length` is the whole frame's.
///
/// # Errors
/// Which counter counts the refusal.
pub fn addresses(
    bindings: &Bindings,
    mac: Mac,
    kind: u16,
    bytes: &[u8],
    length: u32,
) -> Result<(), Counter> {
    let payload = bytes.get(HEADER as usize..).ok_or(Counter::Malformed)?;
    match kind {
        kind::IPV4 => bindings.check_ipv4(payload),
        kind::ARP => bindings.check_arp(payload, mac),
        kind::IPV6 => bindings.check_ipv6(payload, mac, length - HEADER),
        _ => Err(Counter::UncheckedType),
    }
}
