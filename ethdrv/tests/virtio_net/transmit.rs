//! Sending.

use ethdrv::transport::{Refused, Transport};
use virtio::Buffer;

use crate::card::*;

#[test]
fn sent_frames_carry_their_header_and_all_pieces() {
    let mut card = usual();
    let pieces = [piece(0x5010, 128), piece(0x7080, 100), piece(0x8000, 1286)];
    for count in 1..=3 {
        let token = count as u16;
        assert_eq!(card.net.transmit(&pieces[..count], token), Ok(()));
        let chain = card.transmit.take().expect("sent");
        assert_eq!(chain.buffers[0], Buffer::to_device(0x5004, 140));
        for (buffer, piece) in chain.buffers.iter().zip(pieces).skip(1) {
            assert_eq!(*buffer, Buffer::to_device(piece.address, piece.length));
        }
        assert_eq!(chain.buffers.len(), count);
        // A length for a chain that can't be written to is nobody's concern.
        card.transmit.give(chain.head.into(), 99);
        assert_eq!(card.net.transmitted(), Ok(Some(token)));
    }
    assert_eq!(card.net.transmit(&[], 9), Err(Refused::Unfit));
    assert_eq!(card.net.transmit(&[pieces[0]; 4], 9), Err(Refused::Unfit));
    assert_eq!(card.net.transmitted(), Ok(None));
}

#[test]
fn a_frame_of_nine_thousand_bytes_goes_out_across_all_its_pages() {
    let mut card = card(everything(), &[256, 256, 64], 9000);
    // As badly as 9,014 bytes can lie: the copy, the last byte of a page, and all after it.
    let lengths = [128, 1, 4096, 4096, 693];
    let starts = [0x5010, 0x7fff, 0x9000, 0xb000, 0xd000];
    let pieces: Vec<_> = starts
        .into_iter()
        .zip(lengths)
        .map(|(start, length)| piece(start, length))
        .collect();
    assert_eq!(
        lengths.iter().sum::<u32>(),
        card.net.information().frame_limit
    );
    assert_eq!(card.net.transmit(&pieces, 1), Ok(()));
    let chain = card.transmit.take().expect("sent");
    assert_eq!(chain.buffers.len(), pieces.len());
    assert_eq!(chain.buffers[0], Buffer::to_device(0x5004, 140));
    for (buffer, piece) in chain.buffers.iter().zip(&pieces).skip(1) {
        assert_eq!(*buffer, Buffer::to_device(piece.address, piece.length));
    }
    assert_eq!(card.net.transmit(&[pieces[0]; 6], 2), Err(Refused::Unfit));
}

#[test]
fn as_many_frames_as_it_says_fit_whatever_their_pieces() {
    for size in [4, 64, 256] {
        for (mtu, most) in [(1500, 3), (9000, 5)] {
            if size < most {
                continue;
            }
            let mut card = card(everything(), &[256, size, 64], mtu);
            let capacity = card.net.information().transmit_capacity;
            assert_eq!(capacity, size / most);
            for token in 0..capacity {
                let pieces = vec![piece(0x5010, 128); most.into()];
                assert_eq!(card.net.transmit(&pieces, token), Ok(()));
            }
        }
    }
}

#[test]
fn a_piece_without_bytes_is_unfit_and_a_queue_that_is_full_only_full() {
    let mut card = usual();
    let whole = [piece(0x5010, 128), piece(0x7080, 72)];
    let information = card.net.information();
    assert_eq!(information.pieces, 3);
    for token in 0..=information.transmit_capacity {
        let gaps = [
            [whole[0], piece(0x8000, 0), whole[1]],
            [whole[0], whole[1], piece(0x8000, 0)],
        ];
        for pieces in gaps {
            assert_eq!(card.net.transmit(&pieces, token), Err(Refused::Unfit));
        }
        // As many as it says fit, and the queue has room for some more of two pieces.
        assert_eq!(card.net.transmit(&whole, token), Ok(()));
    }
    let full = (0..256).find_map(|token| card.net.transmit(&whole, token).err());
    assert_eq!(full, Some(Refused::Full));
    assert_eq!(card.net.failure(), None);
}
