//! Frames: 4 KiB of physical RAM, and the row that the kernel keeps for each.
//!
//! A frame's row names the object that owns it and the (at most two) aperture slots that pin it.
//! Pins belong to the frame, not to its owner: that is why a revocation need not wait for a device.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::PAGE_SIZE;
use abi::count::Event;

use crate::Kernel;
use crate::machine::Machine;
use crate::object::Oid;

/// A frame's number: physical address / 4096. Frame 0 is never the kernel's to give, so it stands
/// for *no frame*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Frame(pub u32);

impl Frame {
    /// No frame.
    pub const NONE: Frame = Frame(0);

    /// Physical address.
    pub const fn physical(self) -> u64 {
        (self.0 as u64) << 12
    }

    /// The frame that holds a physical address; `NONE` beyond 2^44.
    pub const fn holding(physical: u64) -> Frame {
        if physical >> 44 != 0 {
            Frame::NONE
        } else {
            Frame((physical >> 12) as u32)
        }
    }
}

/// A pin: an aperture's slot that holds a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Pin {
    /// The aperture.
    pub aperture: Oid,
    /// The slot.
    pub slot: u16,
    /// Whether this pin is in use.
    pub used: u16,
}

impl Pin {
    /// No pin.
    pub const NONE: Pin = Pin {
        aperture: Oid::NONE,
        slot: 0,
        used: 0,
    };

    /// All of it as one word: pins are compared for every page that is unpinned.
    #[inline(always)]
    const fn word(self) -> u64 {
        self.aperture.0 as u64 | (self.slot as u64) << 32 | (self.used as u64) << 48
    }
}

/// What the kernel knows of a frame.
#[repr(C)]
pub struct FrameRow {
    /// The object that owns it; `NONE` for the kernel's own frames and holes in RAM.
    pub owner: Cell<Oid>,
    pad: u32,
    /// Who pins it.
    pub pins: [Cell<Pin>; 2],
}

impl FrameRow {
    /// A frame that nobody owns.
    pub const fn empty() -> FrameRow {
        FrameRow {
            owner: Cell::new(Oid::NONE),
            pad: 0,
            pins: [const { Cell::new(Pin::NONE) }; 2],
        }
    }

    /// Number of pins.
    pub fn pinned(&self) -> u32 {
        self.pins.iter().filter(|pin| pin.get().used != 0).count() as u32
    }

    /// Whether anybody pins it.
    #[inline(always)]
    pub(crate) fn is_pinned(&self) -> bool {
        self.pins[0].get().used | self.pins[1].get().used != 0
    }

    /// A place for one more pin.
    #[inline(always)]
    pub(crate) fn free_pin(&self) -> Option<&Cell<Pin>> {
        let [first, second] = &self.pins;
        match (first.get().used, second.get().used) {
            (0, _) => Some(first),
            (_, 0) => Some(second),
            _ => None,
        }
    }

    /// Forgets a pin.
    #[inline(always)]
    pub(crate) fn forget_pin(&self, pin: Pin) {
        let [first, second] = &self.pins;
        if first.get().word() == pin.word() {
            first.set(Pin::NONE);
        } else if second.get().word() == pin.word() {
            second.set(Pin::NONE);
        }
    }
}

/// A layout that a frame can be looked at through.
///
/// # Safety
/// The type is `repr(C)`, at most 4,096 bytes, aligned to at most 4,096; every byte pattern is a
/// valid value of it; and all of it may change behind a shared reference (cells or atomics). So
/// looking at the wrong frame through it yields wrong values, never undefined behaviour.
pub unsafe trait View {}

/// A word that user programs, devices or the page walker may change at any time.
#[repr(transparent)]
pub struct Word(AtomicU64);

impl Word {
    /// Reads it, once.
    #[inline(always)]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Writes it.
    #[inline(always)]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// A frame as 512 of them.
#[repr(C)]
pub struct Words(pub [Word; 512]);

// SAFETY: 512 atomic words, 4,096 bytes, any pattern valid.
unsafe impl View for Words {}

impl Words {
    /// Words of zero.
    pub const fn zeroed() -> Words {
        Words([const { Word(AtomicU64::new(0)) }; 512])
    }

    /// A word.
    #[inline(always)]
    pub fn word(&self, index: usize) -> &Word {
        &self.0[index & 511]
    }

    /// Reads a word, once.
    pub fn get(&self, index: usize) -> u64 {
        self.word(index).get()
    }

    /// Writes a word.
    pub fn set(&self, index: usize, value: u64) {
        self.word(index).set(value);
    }

    /// Whether all eight words of a cache line, counted from 0, are zero.
    #[inline]
    pub(crate) fn are_zero(&self, line: usize) -> bool {
        (0..8).fold(0, |all, n| all | self.get(8 * line + n)) == 0
    }
}

impl<M: Machine> Kernel<'_, M> {
    /// A frame seen through a layout.
    #[inline(always)]
    pub(crate) fn view<V: View>(&self, frame: Frame) -> &V {
        // SAFETY:
        // - `Machine` promises 4,096 aligned, allocated bytes for each frame number it was given, and
        //   frame numbers come only from the kernel's own rows;
        // - `View` promises that any bytes are a valid `V`, and that shared references to it may
        //   alias with others and with writes from outside.
        unsafe { &*self.machine.frame_address(frame).cast::<V>() }
    }

    /// Zeroes a frame.
    #[inline(always)]
    pub(crate) fn zero(&self, frame: Frame) {
        self.machine.zero(frame);
        self.count(Event::KernelZeroed, PAGE_SIZE as u64);
    }

    /// The row of a frame; frames beyond RAM share the row of frame 0, which has no owner.
    #[inline(always)]
    pub(crate) fn frame_row(&self, frame: Frame) -> &FrameRow {
        self.frames.get(frame.0 as usize).unwrap_or(&self.frames[0])
    }
}
