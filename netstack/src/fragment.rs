//! Putting datagrams together that came in pieces (RFC 791, RFC 8200 section 4.5).
//!
//! Bounded in number, bytes, pieces and time. Pieces that overlap spoil their datagram (RFC 5722),
//! but for exact repetitions.

use alloc::vec::Vec;
use core::net::IpAddr;

use smoltcp::time::{Duration, Instant};

use crate::checksum::Sum;
use crate::packet::{Fragment, IPV4, IPV6, Packet};

/// Most datagrams at once.
const MAX_DATAGRAMS: usize = 8;
/// Most bytes of all of them.
const MAX_BYTES: usize = 160 * 1024;
/// Most pieces of one.
const MAX_PIECES: usize = 64;
/// How long the last piece may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest payload of a datagram.
const MAX_LENGTH: usize = 65_535 - IPV4;

/// Why a piece was of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

struct Datagram {
    key: (IpAddr, IpAddr, u8, u32),
    /// Room for an IP header, then the payload as far as it came.
    bytes: Vec<u8>,
    /// Pieces that came: begin and end, in order.
    pieces: Vec<(usize, usize)>,
    /// Length of the payload, once the last piece came.
    length: Option<usize>,
    /// The protocol, as the first piece has it.
    protocol: Option<u8>,
    expires: Instant,
}

/// Datagrams that wait for the rest of their pieces.
#[derive(Default)]
pub struct Assembly {
    datagrams: Vec<Datagram>,
    bytes: usize,
}

impl Assembly {
    /// Takes a piece, and returns the whole packet if it was the last one that was missing.
    /// `payload` is the piece's.
    pub fn add(
        &mut self,
        packet: &Packet,
        fragment: Fragment,
        payload: &[u8],
        now: Instant,
    ) -> Result<Option<(Packet, Vec<u8>)>, Refused> {
        self.expire(now);
        let (begin, end) = (fragment.offset, fragment.offset + payload.len());
        let aligned = !fragment.more || payload.len().is_multiple_of(8);
        if payload.is_empty() || end > MAX_LENGTH || !aligned {
            return Err(Refused);
        }
        // Pieces of IPv6 datagrams belong together whatever their protocol says.
        let protocol = match packet.source {
            IpAddr::V4(_) => packet.protocol,
            IpAddr::V6(_) => 0,
        };
        let key = (packet.source, packet.destination, protocol, fragment.id);
        let n = match self.datagrams.iter().position(|d| d.key == key) {
            Some(n) => n,
            None => self.begin(key, now)?,
        };
        let added = self.put(n, packet, fragment, begin..end, payload);
        if added.is_err() {
            self.forget(n);
            return Err(Refused);
        }
        let datagram = &self.datagrams[n];
        let (Some(length), [(0, end)]) = (datagram.length, datagram.pieces.as_slice()) else {
            return Ok(None);
        };
        let (Some(protocol), true) = (datagram.protocol, *end == length) else {
            return Ok(None);
        };
        let datagram = self.forget(n);
        Ok(Some(whole(packet, protocol, datagram.bytes)))
    }

    fn begin(&mut self, key: (IpAddr, IpAddr, u8, u32), now: Instant) -> Result<usize, Refused> {
        if self.datagrams.len() >= MAX_DATAGRAMS {
            // The one that waits longest has the least hope.
            let oldest = (0..self.datagrams.len()).min_by_key(|&n| self.datagrams[n].expires);
            oldest.map(|n| self.forget(n));
        }
        self.datagrams.try_reserve(1).map_err(|_| Refused)?;
        self.datagrams.push(Datagram {
            key,
            bytes: Vec::new(),
            pieces: Vec::new(),
            length: None,
            protocol: None,
            expires: now + TIMEOUT,
        });
        Ok(self.datagrams.len() - 1)
    }

    fn put(
        &mut self,
        n: usize,
        packet: &Packet,
        fragment: Fragment,
        place: core::ops::Range<usize>,
        payload: &[u8],
    ) -> Result<(), Refused> {
        let header = header_length(packet);
        let datagram = &mut self.datagrams[n];
        let (begin, end) = (place.start, place.end);
        let beyond = datagram
            .length
            .is_some_and(|length| end > length || (!fragment.more && end != length));
        let before = datagram
            .pieces
            .last()
            .is_some_and(|&(_, last)| !fragment.more && last > end);
        if beyond || before {
            return Err(Refused);
        }
        if datagram.pieces.contains(&(begin, end)) {
            return Ok(());
        }
        // Pieces are kept apart even where they touch, so that repetitions are recognised, until all
        // is there.
        let at = datagram.pieces.partition_point(|piece| piece.0 < begin);
        let touches_before = at > 0 && datagram.pieces[at - 1].1 > begin;
        let touches_after = datagram.pieces.get(at).is_some_and(|piece| piece.0 < end);
        if touches_before || touches_after || datagram.pieces.len() >= MAX_PIECES {
            return Err(Refused);
        }
        let grow = (header + end).saturating_sub(datagram.bytes.len());
        if self.bytes + grow > MAX_BYTES {
            return Err(Refused);
        }
        let reserved = datagram.bytes.try_reserve(grow).is_ok();
        if !reserved || datagram.pieces.try_reserve(1).is_err() {
            return Err(Refused);
        }
        if grow > 0 {
            datagram.bytes.resize(header + end, 0);
            self.bytes += grow;
        }
        datagram.bytes[header + begin..header + end].copy_from_slice(payload);
        datagram.pieces.insert(at, (begin, end));
        if !fragment.more {
            datagram.length = Some(end);
        }
        if begin == 0 {
            datagram.protocol = Some(packet.protocol);
        }
        let whole = datagram
            .pieces
            .windows(2)
            .all(|pair| pair[0].1 == pair[1].0);
        if let (true, Some(length)) = (whole, datagram.length)
            && datagram.pieces[0].0 == 0
        {
            datagram.pieces.clear();
            datagram.pieces.push((0, length));
        }
        Ok(())
    }

    fn forget(&mut self, n: usize) -> Datagram {
        let datagram = self.datagrams.swap_remove(n);
        self.bytes -= datagram.bytes.len();
        datagram
    }

    /// Forgets datagrams that waited too long.
    pub fn expire(&mut self, now: Instant) {
        let mut n = 0;
        while n < self.datagrams.len() {
            if self.datagrams[n].expires <= now {
                self.forget(n);
            } else {
                n += 1;
            }
        }
    }

    /// When the next one will have waited too long.
    pub fn due(&self) -> Option<Instant> {
        self.datagrams.iter().map(|datagram| datagram.expires).min()
    }
}

fn header_length(packet: &Packet) -> usize {
    match packet.source {
        IpAddr::V4(_) => IPV4,
        IpAddr::V6(_) => IPV6,
    }
}

/// Writes the header of a packet that never was on the wire in one piece.
fn whole(piece: &Packet, protocol: u8, mut bytes: Vec<u8>) -> (Packet, Vec<u8>) {
    let start = header_length(piece);
    let length = bytes.len() - start;
    let packet = Packet {
        protocol,
        start,
        sum: Sum::of(&bytes[start..]),
        fragment: None,
        ..*piece
    };
    let header = &mut bytes[..start];
    header.fill(0);
    match (packet.source, packet.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            header[0] = 0x45;
            header[2..4].copy_from_slice(&((start + length) as u16).to_be_bytes());
            header[8] = packet.hop_limit;
            header[9] = protocol;
            header[12..16].copy_from_slice(&source.octets());
            header[16..20].copy_from_slice(&destination.octets());
            let checksum = Sum::of(header).checksum();
            header[10..12].copy_from_slice(&checksum);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            header[0] = 0x60;
            header[4..6].copy_from_slice(&(length as u16).to_be_bytes());
            header[6] = protocol;
            header[7] = packet.hop_limit;
            header[8..24].copy_from_slice(&source.octets());
            header[24..40].copy_from_slice(&destination.octets());
        }
        // A packet's addresses come out of one header.
        _ => {}
    }
    (packet, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Cast;
    use proptest::prelude::*;

    fn packet(protocol: u8) -> Packet {
        Packet {
            source_mac: [2; 6],
            cast: Cast::Us,
            source: IpAddr::from([10, 0, 0, 1]),
            destination: IpAddr::from([10, 0, 0, 2]),
            protocol,
            hop_limit: 64,
            start: IPV4,
            sum: Sum::ZERO,
            fragment: None,
        }
    }

    fn piece(id: u32, offset: usize, more: bool) -> Fragment {
        Fragment { id, offset, more }
    }

    const NOW: Instant = Instant::ZERO;

    proptest! {
        #[test]
        fn any_order_and_repetitions_give_the_datagram(
            payload in prop::collection::vec(any::<u8>(), 1..20_000),
            size in 50usize..200,
            order in prop::collection::vec(any::<prop::sample::Index>(), 200),
        ) {
            let size = size * 8;
            let count = payload.len().div_ceil(size);
            let mut pieces: Vec<usize> = (0..count).collect();
            for (n, index) in order.iter().enumerate() {
                pieces.swap(n % count, index.index(count));
            }
            // The second half comes twice.
            pieces.splice(..0, pieces.split_at(count / 2).1.to_vec());
            let mut assembly = Assembly::default();
            let mut whole = None;
            for n in pieces {
                let part = &payload[n * size..((n + 1) * size).min(payload.len())];
                let fragment = piece(7, n * size, n + 1 < count);
                match assembly.add(&packet(17), fragment, part, NOW) {
                    Ok(Some(found)) if whole.is_none() => whole = Some(found),
                    Ok(_) => {}
                    Err(Refused) => prop_assert!(false, "refused"),
                }
            }
            let (packet, bytes) = whole.expect("all pieces came");
            prop_assert_eq!(&bytes[IPV4..], &payload[..]);
            prop_assert!(Sum::of(&bytes[..IPV4]).is_intact());
            prop_assert_eq!(packet.sum, Sum::of(&payload));
        }

        #[test]
        fn nothing_grows_without_bound(
            pieces in prop::collection::vec(
                (0u32..20, 0usize..8200, any::<bool>(), 1usize..1500), 0..600),
        ) {
            let mut assembly = Assembly::default();
            let payload = [0; 1500];
            for (id, place, more, length) in pieces {
                let fragment = piece(id, place * 8, more);
                let _ = assembly.add(&packet(17), fragment, &payload[..length], NOW);
                let bytes: usize = assembly.datagrams.iter().map(|d| d.bytes.len()).sum();
                prop_assert_eq!(bytes, assembly.bytes);
                prop_assert!(bytes <= MAX_BYTES && assembly.datagrams.len() <= MAX_DATAGRAMS);
            }
            assembly.expire(NOW + TIMEOUT);
            prop_assert_eq!(assembly.bytes, 0);
            prop_assert_eq!(assembly.due(), None);
        }
    }

    #[test]
    fn overlaps_spoil_the_datagram() {
        let mut assembly = Assembly::default();
        let bytes = [1; 32];
        let add = |assembly: &mut Assembly, offset, more, length| {
            assembly.add(&packet(17), piece(1, offset, more), &bytes[..length], NOW)
        };
        assert!(add(&mut assembly, 0, true, 16).unwrap().is_none());
        assert_eq!(add(&mut assembly, 8, true, 16).err(), Some(Refused));
        assert!(
            add(&mut assembly, 16, false, 8).unwrap().is_none(),
            "it was forgotten"
        );
        assert_eq!(assembly.datagrams.len(), 1);
    }

    #[test]
    fn the_end_can_not_move() {
        let mut assembly = Assembly::default();
        let bytes = [1; 64];
        let add = |assembly: &mut Assembly, offset, more, length| {
            assembly.add(&packet(17), piece(1, offset, more), &bytes[..length], NOW)
        };
        assert!(add(&mut assembly, 16, false, 8).unwrap().is_none());
        assert!(add(&mut assembly, 32, false, 8).is_err());
        assert!(add(&mut assembly, 32, true, 8).unwrap().is_none());
        assert!(add(&mut assembly, 16, false, 8).is_err());
        assert!(
            add(&mut assembly, 65_528, false, 64).is_err(),
            "longer than IP allows"
        );
        assert!(
            add(&mut assembly, 0, true, 7).is_err(),
            "not a multiple of eight"
        );
    }
}
