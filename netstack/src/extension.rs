//! IPv6 extension headers (RFC 8200 section 4).

use crate::checksum::Sum;
use crate::packet::{Fragment, IPV6, Packet, field};

/// What to do with a packet whose extension headers can't be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Drop it.
    Malformed,
    /// Drop it and say so: code and place of an ICMPv6 parameter problem (RFC 4443 section 3.4).
    Parameter {
        /// The code.
        code: u8,
        /// Where in the packet.
        place: usize,
        /// Whether to say so even if the packet went to a group.
        even_to_groups: bool,
    },
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;
const NONE: u8 = 59;

/// Code: a field that makes no sense.
const ERRONEOUS_FIELD: u8 = 0;
/// Code: an option that isn't known and whose type says that it must be.
const UNKNOWN_OPTION: u8 = 2;

/// Goes past the extension headers, up to the payload or to a fragment header (whose fields end up in
/// `packet.fragment`). `bytes` is the packet with its IPv6 header; afterwards that header stands
/// directly before the payload, with `packet.start` bytes of it before.
///
/// Returns where the packet begins now.
pub fn skip(packet: &mut Packet, bytes: &mut [u8]) -> Result<usize, Problem> {
    let mut at = IPV6;
    let mut first = true;
    loop {
        let next = packet.protocol;
        // RFC 8200 allows hop-by-hop options only directly behind the IPv6 header.
        let known = matches!(next, ROUTING | FRAGMENT | DESTINATION | NONE);
        if !(known || next == HOP_BY_HOP && first) {
            break;
        }
        if next == NONE {
            return Err(Problem::Malformed);
        }
        let header = bytes.get(at..).filter(|header| header.len() >= 8);
        let header = header.ok_or(Problem::Malformed)?;
        if next == FRAGMENT {
            let flags = u16::from_be_bytes(field(header, 2));
            packet.fragment = Some(Fragment {
                id: u32::from_be_bytes(field(header, 4)),
                offset: (flags & 0xfff8).into(),
                more: flags & 1 != 0,
            });
            packet.protocol = header[0];
            at += 8;
            break;
        }
        let length = (usize::from(header[1]) + 1) * 8;
        let header = header.get(..length).ok_or(Problem::Malformed)?;
        match next {
            // A host is no router: segments left to visit are an error (section 4.4).
            ROUTING if header[3] != 0 => {
                return Err(Problem::Parameter {
                    code: ERRONEOUS_FIELD,
                    place: at + 2,
                    even_to_groups: false,
                });
            }
            ROUTING => {}
            _ => options(&header[2..], at + 2)?,
        }
        packet.protocol = header[0];
        at += length;
        first = false;
    }
    if at == IPV6 {
        return Ok(0);
    }
    let begin = at - IPV6;
    bytes.copy_within(..IPV6, begin);
    let payload = (bytes.len() - at) as u16;
    bytes[begin + 4..begin + 6].copy_from_slice(&payload.to_be_bytes());
    bytes[begin + 6] = packet.protocol;
    packet.sum = Sum::of(&bytes[at..]);
    Ok(begin)
}

/// Looks for options that must not be passed over (RFC 8200 section 4.2).
fn options(mut options: &[u8], mut at: usize) -> Result<(), Problem> {
    while let Some(&kind) = options.first() {
        let length = match kind {
            // Pad1 is a single byte.
            0 => 1,
            _ => 2 + usize::from(*options.get(1).ok_or(Problem::Malformed)?),
        };
        let rest = options.get(length..).ok_or(Problem::Malformed)?;
        // PadN is 1, router alert 5; the rest goes by the two upper bits.
        match kind {
            0 | 1 | 5 => {}
            _ => match kind >> 6 {
                0 => {}
                1 => return Err(Problem::Malformed),
                action => {
                    return Err(Problem::Parameter {
                        code: UNKNOWN_OPTION,
                        place: at,
                        even_to_groups: action == 2,
                    });
                }
            },
        }
        options = rest;
        at += length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Cast, protocol};
    use alloc::vec::Vec;
    use core::net::{IpAddr, Ipv6Addr};
    use proptest::prelude::*;

    fn packet(first: u8, payload: &[u8]) -> (Packet, Vec<u8>) {
        let mut bytes = alloc::vec![0x60, 0, 0, 0, 0, payload.len() as u8, first, 64];
        bytes.extend([0xaa; 32]);
        bytes.extend(payload);
        let packet = Packet {
            source_mac: [2; 6],
            cast: Cast::Us,
            source: IpAddr::V6(Ipv6Addr::LOCALHOST),
            destination: IpAddr::V6(Ipv6Addr::LOCALHOST),
            protocol: first,
            hop_limit: 64,
            start: IPV6,
            sum: Sum::of(payload),
            fragment: None,
        };
        (packet, bytes)
    }

    #[test]
    fn headers_are_skipped_and_the_fixed_one_moves_up() {
        let mut payload = alloc::vec![DESTINATION, 0, 5, 2, 0, 0, 1, 0];
        payload.extend([protocol::UDP, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        payload.extend(b"payload");
        let (mut packet, mut bytes) = packet(HOP_BY_HOP, &payload);
        assert_eq!(skip(&mut packet, &mut bytes), Ok(24));
        assert_eq!(packet.protocol, protocol::UDP);
        assert_eq!(packet.sum, Sum::of(b"payload"));
        assert_eq!(&bytes[24 + IPV6..], b"payload");
        assert_eq!(
            &bytes[24..32],
            &[0x60, 0, 0, 0, 0, 7, protocol::UDP, 64],
            "length and protocol must tell of what is left"
        );
    }

    #[test]
    fn fragment_headers_are_read() {
        let (mut packet, mut bytes) =
            packet(FRAGMENT, &[protocol::UDP, 0, 0x05, 0xa9, 1, 2, 3, 4, b'x']);
        assert_eq!(skip(&mut packet, &mut bytes), Ok(8));
        let fragment = Fragment {
            id: 0x0102_0304,
            offset: 0x5a8,
            more: true,
        };
        assert_eq!(packet.fragment, Some(fragment));
    }

    #[test]
    fn unknown_options_do_what_their_type_says() {
        for (kind, expected) in [
            (0x1e, Ok(8)),
            (0x5e, Err(Problem::Malformed)),
            (
                0x9e,
                Err(Problem::Parameter {
                    code: UNKNOWN_OPTION,
                    place: 42,
                    even_to_groups: true,
                }),
            ),
            (
                0xde,
                Err(Problem::Parameter {
                    code: UNKNOWN_OPTION,
                    place: 42,
                    even_to_groups: false,
                }),
            ),
        ] {
            let (mut packet, mut bytes) =
                packet(DESTINATION, &[protocol::UDP, 0, kind, 4, 0, 0, 0, 0]);
            assert_eq!(skip(&mut packet, &mut bytes), expected, "{kind:#x}");
        }
    }

    #[test]
    fn source_routes_are_refused() {
        let (mut packet, mut bytes) = packet(ROUTING, &[protocol::UDP, 0, 0, 1, 0, 0, 0, 0]);
        assert!(matches!(
            skip(&mut packet, &mut bytes),
            Err(Problem::Parameter { place: 42, .. })
        ));
    }

    proptest! {
        #[test]
        fn nothing_panics(
            first in prop::sample::select(alloc::vec![0u8, 43, 44, 60, 59, 17]),
            payload in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let (mut packet, mut bytes) = packet(first, &payload);
            if let Ok(begin) = skip(&mut packet, &mut bytes) {
                prop_assert!(begin + IPV6 <= bytes.len());
            }
        }
    }
}
