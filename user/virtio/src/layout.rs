//! The three areas of a split queue (2.7).
//!
//! Each lies in a frame of its own, so that the device needs to write to none but the used ring's:
//! that is why a queue has at most [`MAX_SIZE`] entries.

/// Most entries of a queue: a descriptor table of one frame.
pub const MAX_SIZE: u16 = 256;

/// Bytes of a descriptor (2.7.5).
pub const DESCRIPTOR: usize = 16;

/// The chain goes on at `next` (2.7.5).
pub const FLAG_NEXT: u16 = 1;
/// The device writes the buffer; otherwise it reads it (2.7.5).
pub const FLAG_WRITE: u16 = 2;

/// Byte offset of a descriptor: its address (2.7.5).
#[inline]
pub const fn descriptor_address(index: u16) -> usize {
    DESCRIPTOR * index as usize
}

/// Byte offset of a descriptor's length, flags and next descriptor, as one word (2.7.5).
#[inline]
pub const fn descriptor_rest(index: u16) -> usize {
    DESCRIPTOR * index as usize + 8
}

/// The word at [`descriptor_rest`].
#[inline]
pub const fn pack_rest(length: u32, flags: u16, next: u16) -> u64 {
    length as u64 | (flags as u64) << 32 | (next as u64) << 48
}

/// What [`pack_rest`] packed.
#[inline]
pub const fn unpack_rest(word: u64) -> (u32, u16, u16) {
    (word as u32, (word >> 32) as u16, (word >> 48) as u16)
}

/// Byte offset, in the available as in the used ring, of its flags (2.7.6, 2.7.8).
pub const FLAGS: usize = 0;
/// Byte offset, in the available as in the used ring, of its index (2.7.6, 2.7.8).
pub const INDEX: usize = 2;

/// In the available ring's flags: no interrupts (2.7.7). Without `EVENT_INDEX` only.
pub const NO_INTERRUPT: u16 = 1;
/// In the used ring's flags: no notifications (2.7.10). Without `EVENT_INDEX` only.
pub const NO_NOTIFY: u16 = 1;

/// Byte offset of an entry of the available ring (2.7.6).
#[inline]
pub const fn available_entry(position: u16) -> usize {
    4 + 2 * position as usize
}

/// Byte offset, in the available ring, of the used entry that the driver waits for (2.7.7).
#[inline]
pub const fn used_event(size: u16) -> usize {
    available_entry(size)
}

/// Byte offset of an entry of the used ring: its chain (2.7.8).
#[inline]
pub const fn used_id(position: u16) -> usize {
    4 + 8 * position as usize
}

/// Byte offset of an entry of the used ring: bytes written (2.7.8).
#[inline]
pub const fn used_length(position: u16) -> usize {
    8 + 8 * position as usize
}

/// Byte offset, in the used ring, of the available entry that the device waits for (2.7.10).
#[inline]
pub const fn available_event(size: u16) -> usize {
    used_id(size)
}

/// Bytes of the descriptor table.
pub const fn descriptor_bytes(size: u16) -> usize {
    DESCRIPTOR * size as usize
}

/// Bytes of the available ring.
pub const fn available_bytes(size: u16) -> usize {
    used_event(size) + 2
}

/// Bytes of the used ring.
pub const fn used_bytes(size: u16) -> usize {
    available_event(size) + 2
}

const _: () = assert!(descriptor_bytes(MAX_SIZE) == 4096);
const _: () = assert!(available_bytes(MAX_SIZE) <= 4096);
const _: () = assert!(used_bytes(MAX_SIZE) <= 4096);
