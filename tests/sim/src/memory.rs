//! The simulated machine's RAM, and the kernel's tables over it.
//!
//! The kernel borrows its tables for as long as it lives, and a world owns its kernel; so that a world
//! need not borrow from itself, all of this is leaked, and used again by the next world of the same
//! thread.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};

use abi::PAGE_SIZE;
use abi::cap::Kind;
use kernel::frame::{Frame, FrameRow, Pin};
use kernel::object::{ObjectRow, Oid, Parent, State};

use crate::random::Dice;

/// Number of the first frame: below lies what is not RAM.
pub const FIRST_FRAME: u32 = 0x100;

/// Words in a frame.
const WORDS: usize = PAGE_SIZE / 8;

/// A frame of RAM.
#[repr(C, align(4096))]
struct FrameBytes([AtomicU64; WORDS]);

/// RAM and tables of one machine.
pub struct Memory {
    ram: Box<[FrameBytes]>,
    /// A row for each object.
    pub objects: Box<[ObjectRow]>,
    /// A row for each frame number from 0 on.
    pub frames: Box<[FrameRow]>,
    /// A place for each object.
    pub timers: Box<[Cell<Frame>]>,
    /// Where output waits for the console.
    pub console: Box<[Cell<u8>]>,
}

thread_local! {
    static SPARE: RefCell<Vec<&'static Memory>> = const { RefCell::new(Vec::new()) };
}

impl Memory {
    /// Memory for this many objects, as it is when a machine is switched on and the firmware has
    /// zeroed it. Which object owns which frame is random.
    pub fn take(objects: usize, dice: &Dice) -> &'static Memory {
        let spare = SPARE.with_borrow_mut(|spare| {
            let fits = |memory: &&Memory| memory.objects.len() == objects;
            let n = spare.iter().position(fits)?;
            Some(spare.swap_remove(n))
        });
        let memory = spare.unwrap_or_else(|| Box::leak(Box::new(Memory::new(objects))));
        memory.reset(dice);
        memory
    }

    /// Gives memory back, to be used again.
    pub fn give(memory: &'static Memory) {
        // A thread that ends keeps nothing.
        let _ = SPARE.try_with(|spare| spare.borrow_mut().push(memory));
    }

    fn new(objects: usize) -> Memory {
        let zeros = || FrameBytes([const { AtomicU64::new(0) }; WORDS]);
        Memory {
            ram: (0..objects).map(|_| zeros()).collect(),
            objects: (0..objects).map(|_| ObjectRow::free(Frame::NONE)).collect(),
            frames: (0..objects + FIRST_FRAME as usize)
                .map(|_| FrameRow::empty())
                .collect(),
            timers: (0..objects).map(|_| Cell::new(Frame::NONE)).collect(),
            console: (0..kernel::console::BYTES).map(|_| Cell::new(0)).collect(),
        }
    }

    fn reset(&self, dice: &Dice) {
        for frame in &self.ram {
            frame
                .0
                .iter()
                .for_each(|word| word.store(0, Ordering::Relaxed));
        }
        let mut numbers: Vec<u32> = (0..self.objects.len() as u32).collect();
        dice.shuffle(&mut numbers);
        for (row, number) in self.objects.iter().zip(numbers) {
            row.version.set(1);
            row.frame.set(Frame(FIRST_FRAME + number));
            row.kind.set(Kind::Void);
            row.state.set(State::Free);
            row.progress.set(0);
            row.next.set(Oid::NONE);
            row.partner.set(Oid::NONE);
            row.parents
                .iter()
                .for_each(|parent| parent.set(Parent::NONE));
            row.function.set(0);
            row.slots.set(0);
        }
        for row in &self.frames {
            row.owner.set(Oid::NONE);
            row.pins.iter().for_each(|pin| pin.set(Pin::NONE));
        }
        self.timers.iter().for_each(|timer| timer.set(Frame::NONE));
    }

    fn frame(&self, frame: Frame) -> Option<&FrameBytes> {
        let index = frame.0.checked_sub(FIRST_FRAME)?;
        self.ram.get(index as usize)
    }

    /// Whether a frame is RAM.
    pub fn is_ram(&self, frame: Frame) -> bool {
        self.frame(frame).is_some()
    }

    /// Where a frame lies on the host.
    ///
    /// # Panics
    /// The frame is not RAM.
    pub fn address(&self, frame: Frame) -> *mut u8 {
        let Some(bytes) = self.frame(frame) else {
            panic!("the kernel looks at frame {:#x}, which is not RAM", frame.0);
        };
        // The whole frame is atomics: behind a shared reference it may be written.
        std::ptr::from_ref(bytes).cast_mut().cast()
    }

    /// A word of a frame of RAM.
    ///
    /// # Panics
    /// The frame is not RAM.
    pub fn word(&self, frame: Frame, index: usize) -> &AtomicU64 {
        match self.frame(frame) {
            Some(bytes) => &bytes.0[index],
            None => panic!("frame {:#x} is not RAM", frame.0),
        }
    }

    /// Zeroes a frame.
    pub fn zero(&self, frame: Frame) {
        for index in 0..WORDS {
            self.word(frame, index).store(0, Ordering::Relaxed);
        }
    }

    /// Copies bytes out of a frame.
    pub fn read(&self, frame: Frame, offset: usize, into: &mut [u8]) {
        for (n, byte) in into.iter_mut().enumerate() {
            let at = offset + n;
            *byte = (self.word(frame, at / 8).load(Ordering::Relaxed) >> (8 * (at % 8))) as u8;
        }
    }

    /// Copies bytes into a frame.
    pub fn write(&self, frame: Frame, offset: usize, from: &[u8]) {
        let (mut at, mut left) = (offset, from);
        while let Some((first, rest)) = left.split_first() {
            let word = self.word(frame, at / 8);
            if at % 8 == 0
                && let Some((whole, rest)) = left.split_first_chunk::<8>()
            {
                word.store(u64::from_le_bytes(*whole), Ordering::Relaxed);
                (at, left) = (at + 8, rest);
                continue;
            }
            let shift = 8 * (at % 8);
            let kept = word.load(Ordering::Relaxed) & !(0xff << shift);
            word.store(kept | u64::from(*first) << shift, Ordering::Relaxed);
            (at, left) = (at + 1, rest);
        }
    }
}
