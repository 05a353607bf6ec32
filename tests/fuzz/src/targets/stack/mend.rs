//! Checksums, as a hostile peer makes them: right.

use netstack::checksum::Sum;

/// Makes the checksums of a frame right, where it has any.
pub fn mend(frame: &mut [u8]) {
    match frame.get(12..14) {
        Some([0x08, 0x00]) => mend_ipv4(&mut frame[14..]),
        Some([0x86, 0xdd]) => mend_ipv6(&mut frame[14..]),
        _ => None,
    };
}

fn mend_ipv4(packet: &mut [u8]) -> Option<()> {
    let start = usize::from(packet.first()? & 15) * 4;
    let header = packet
        .get_mut(..start)
        .filter(|header| header.len() >= 20)?;
    header[10..12].fill(0);
    let checksum = Sum::of(header).checksum();
    header[10..12].copy_from_slice(&checksum);
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let (protocol, fragment) = (header[9], u16::from_be_bytes([header[6], header[7]]));
    let address = |at: usize| std::net::IpAddr::from([0, 1, 2, 3].map(|n| header[at + n]));
    let (from, to) = (address(12), address(16));
    let payload = packet.get_mut(start..total)?;
    // Of a fragment nobody knows it.
    if fragment & 0x3fff != 0 {
        return None;
    }
    let length = payload.len();
    match protocol {
        1 => fill(payload, 2, Sum::of(&[])),
        6 => fill(payload, 16, Sum::pseudo(from, to, protocol, length)),
        17 => fill(payload, 6, Sum::pseudo(from, to, protocol, length)),
        _ => None,
    }
}

fn mend_ipv6(packet: &mut [u8]) -> Option<()> {
    let header: [u8; 40] = packet.get(..40)?.try_into().ok()?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let address = |at: usize| -> std::net::IpAddr {
        let mut octets = [0; 16];
        octets.copy_from_slice(&header[at..at + 16]);
        octets.into()
    };
    let (from, to) = (address(8), address(24));
    let payload = packet.get_mut(40..40 + length)?;
    let place = match header[6] {
        6 => 16,
        17 => 6,
        58 => 2,
        _ => return None,
    };
    fill(payload, place, Sum::pseudo(from, to, header[6], length))
}

fn fill(payload: &mut [u8], place: usize, pseudo: Sum) -> Option<()> {
    payload.get_mut(place..place + 2)?.fill(0);
    let checksum = pseudo.and(Sum::of(payload)).checksum();
    payload[place..place + 2].copy_from_slice(&checksum);
    Some(())
}
