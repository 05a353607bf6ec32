//! From a user's settings to amounts: what its bank may hold, what is set aside for its port.
//!
//! A user's limit is all that the user costs. A part of it, the *reserve*, is not the user's to spend:
//! it pays for what the driver needs for the user's port, and must outlive the user's bank, so init
//! takes it off the user's limit and puts it onto that of the driver's bank when it makes the port
//! (and back when the port is removed). The sum of both limits is always what the manifest says.

use core::fmt;

use abi::{APERTURE_SLOTS, PAGE_SIZE, SEGMENT_SIZE, TABLE_ENTRIES};
use dev::layout::{FIRST_RECEIVE_PAGE, FIRST_TRANSMIT_PAGE};
use ethdrv::switch::hidden_pages;
use netstack::config::Limits;
use rt::child::Image;

use crate::manifest::User;

/// Objects of every process besides image and stack: the process and its capability table, three
/// tables of its address space, one segment with arguments, message page and fault stack.
const PROCESS: u64 = 2 + 3 + 1 + 3;

/// Objects of a user's bank that nothing else accounts for: the records of the port bank, the session's bank
/// and what a stack may add, capability tables, tables that round up.
const SLACK: u64 = 16;

/// Bytes of buffers below which a stack can hold no conversation.
const LEAST_BUFFERS: u32 = 64 * 1024;

/// What a user gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Objects that the driver's bank gets for the port.
    pub reserve: u64,
    /// The limit of the user's bank.
    pub limit: u64,
    /// Objects that the bank must be able to buy before the user can start.
    pub least: u64,
    /// Bytes of heap that the stack may count on.
    pub heap: u32,
}

/// The limit is too low for what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLow {
    /// The limit.
    pub limit: u64,
    /// The lowest that is enough.
    pub least: u64,
    /// Of that, what image and stack take.
    pub program: u64,
    /// Of that, what transmit and receive pages take.
    pub session: u64,
    /// Of that, what is set aside for the port.
    pub reserve: u64,
}

impl fmt::Display for TooLow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a bank of {} pages is too small: at least {} are needed ({} for the program, {} for the \
             session's pages, {} set aside for the port, the rest for buffers)",
            self.limit, self.least, self.program, self.session, self.reserve
        )
    }
}

impl core::error::Error for TooLow {}

/// Objects that a process of this image takes.
pub fn program_objects(image: &Image<'_>, stack_pages: usize) -> u64 {
    let pages: usize = image.pieces().iter().map(|piece| piece.pages).sum();
    // Pieces ascend; each segment is counted where a piece first reaches into it.
    let (mut segments, mut next) = (0, 0);
    for piece in image.pieces() {
        let end = piece.address + (piece.pages * PAGE_SIZE) as u64;
        let from = (piece.address / SEGMENT_SIZE as u64).max(next);
        let to = end.div_ceil(SEGMENT_SIZE as u64);
        segments += to.saturating_sub(from);
        next = to;
    }
    PROCESS + (pages + stack_pages) as u64 + segments
}

/// Slots that a port's receive pages may take, in apertures that all ports share: the pages that its user
/// sees, and those behind them if it is sealed, which it may become at any time.
pub const fn receive_slots(user: &User) -> u64 {
    let seen = user.receive_slots();
    seen as u64 + hidden_pages(seen) as u64
}

/// Objects that the driver needs for a port with so many slots: aperture and window for what is sent; a
/// share of those for what is received, in full, for it may be the port that makes another necessary;
/// the tables of the receive segment and of hidden pages; and what the driver notes of slots and frames.
pub fn port_reserve(transmit_slots: u16, receive_slots: u16) -> u64 {
    let receive = u64::from(receive_slots) + u64::from(hidden_pages(receive_slots));
    let notes = (u64::from(transmit_slots) + receive) * NOTES_PER_SLOT;
    let apertures = 2 + 2 * receive.div_ceil(APERTURE_SLOTS as u64);
    apertures + 2 + notes.div_ceil(PAGE_SIZE as u64) + NOTES_PER_PORT.div_ceil(PAGE_SIZE as u64)
}

/// Bytes that the driver notes of each slot: pin, state, place in a list.
const NOTES_PER_SLOT: u64 = 128;
/// Bytes that it notes of each port besides: counters, addresses, groups, rings' own indices.
const NOTES_PER_PORT: u64 = 12 * 1024;

/// What a user gets whose stack's process takes `program` objects.
///
/// # Errors
/// [`TooLow`]: the user's limit doesn't cover it.
pub fn plan(user: &User, program: u64) -> Result<Plan, TooLow> {
    let reserve = port_reserve(user.transmit_slots, user.receive_slots());
    let receive = u64::from(FIRST_RECEIVE_PAGE) + receive_slots(user);
    // The transmit segment's table is the user's own, the receive segment's is the driver's.
    let transmit = 1 + u64::from(FIRST_TRANSMIT_PAGE) + u64::from(user.transmit_slots);
    let session = receive + transmit;
    let fixed = reserve + program + session + SLACK;
    let limit = u64::from(user.bank);
    let left = limit.saturating_sub(fixed);
    // A segment's table for each segment of heap.
    let heap_pages = left - left.div_ceil(TABLE_ENTRIES as u64 + 1);
    let heap = u32::try_from(heap_pages * PAGE_SIZE as u64).unwrap_or(u32::MAX);
    let least_heap = Limits::OVERHEAD + LEAST_BUFFERS;
    let pages = u64::from(least_heap.div_ceil(PAGE_SIZE as u32));
    let least = fixed + pages + pages.div_ceil(TABLE_ENTRIES as u64);
    if heap < least_heap {
        return Err(TooLow {
            limit,
            least,
            program,
            session,
            reserve,
        });
    }
    Ok(Plan {
        reserve,
        limit: limit - reserve,
        least: least - reserve,
        heap,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::cap::Rights;
    use alloc::string::ToString;
    use proptest::prelude::*;
    use rt::child::Piece;

    fn user(bank: u32) -> User {
        let mut user = User::named("alice".parse().unwrap());
        user.bank = bank;
        user
    }

    #[test]
    fn the_default_bank_suffices() {
        let plan = plan(&user(User::DEFAULT_BANK), 200).unwrap();
        assert!(plan.heap > Limits::OVERHEAD + (4 << 20), "{plan:?}");
        assert_eq!(plan.limit + plan.reserve, u64::from(User::DEFAULT_BANK));
    }

    #[test]
    fn a_low_limit_names_the_lowest_that_is_enough() {
        let error = plan(&user(100), 200).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("a bank of 100 pages is too small: at least ")
        );
        assert!(plan(&user(error.least as u32), 200).is_ok());
        assert_eq!(
            plan(&user(error.least as u32 - 1), 200).unwrap_err().least,
            error.least
        );
    }

    #[test]
    fn an_image_is_counted_with_its_tables() {
        let piece = |address, pages, rights| Piece {
            address,
            bytes: &[0xc3; 16],
            pages,
            rights,
        };
        let code = piece(0x40_0000, 10, Rights::READ | Rights::EXEC);
        let image = Image::new(0x40_0000, &[code]).unwrap();
        assert_eq!(program_objects(&image, 16), 9 + 10 + 16 + 1);
        // The second piece begins in the first segment and ends in the third.
        let data = piece(0x40_a000, 1024, Rights::READ | Rights::WRITE);
        let image = Image::new(0x40_0000, &[code, data]).unwrap();
        assert_eq!(program_objects(&image, 16), 9 + 1034 + 16 + 3);
    }

    proptest! {
        #[test]
        fn nothing_is_promised_twice(
            bank in 1..=User::MAX_BANK,
            transmit in User::MIN_SLOTS..=User::MAX_SLOTS,
            receive in User::MIN_SLOTS..=User::MAX_SLOTS,
            program in 1u64..4000,
        ) {
            let mut user = user(bank);
            user.transmit_slots = transmit;
            user.receive_slots = Some(receive);
            match plan(&user, program) {
                Ok(plan) => {
                    prop_assert_eq!(plan.limit + plan.reserve, u64::from(bank));
                    let heap = u64::from(plan.heap).div_ceil(4096);
                    let pages = heap + heap.div_ceil(512) + program
                        + u64::from(transmit) + u64::from(receive) + 6;
                    prop_assert!(pages <= plan.limit, "{} of {}", pages, plan.limit);
                }
                Err(error) => {
                    prop_assert!(error.least > u64::from(bank));
                    prop_assert!(error.least < u64::from(bank) + 10_000 + program);
                }
            }
        }
    }
}
