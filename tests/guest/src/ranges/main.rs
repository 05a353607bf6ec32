//! Prints figures of the kernel's authority over storage, in spacebank's place: only spacebank holds a
//! `Range`. Booted as init too, it stops the machine once the figures are there.
//!
//! `mint.32`: a page sold into a place of a mapped segment, by batches of 32.
//!
//! `rescind.32`: a page taken back, out of its place and out of existence, by batches of 32, all of the
//! kernel's work but zeroing. Zeroing is one string instruction, of which an instruction count sees
//! 512 iterations, and hardware a few dozen cycles: it is measured beside, and taken off.
//! `rescind.32.zeroed` is the whole.
#![no_std]
#![no_main]

use core::mem::offset_of;

use abi::PAGE_SIZE;
use abi::batch::{Mint, Rescind};
use abi::boot::{BANK_MAGIC, layout, slot};
use abi::cap::{Kind, Rights};
use guest::children::Failed;
use guest::statistics::Statistics;
use guest::{report, say};
use rt::clock::ticks;
use rt::{Kernel, arguments, message_page};
use sys::object::{Range, Table};
use sys::{Cap, Error, Mem};

rt::entry!(main);

const PAGES: u64 = 32;
const ROUNDS: u64 = 64;

/// Where the batches lie in the message page.
const MINTS: usize = 0;
const RESCINDS: usize = MINTS + PAGES as usize * size_of::<Mint>();

const RANGE: Cap<Range> = Cap::at(slot::BANK_RANGE);
const SPACE: Cap<Table> = Cap::at(slot::SPACE);
const SEGMENT: Cap<Table> = Cap::at(slot::FREE);

fn main() {
    let Some(objects) = objects() else {
        // In init's place: spacebank's, which is more urgent, is done.
        report::stop(0);
    };
    if let Err(error) = measure(objects) {
        say!("ranges: {error}");
    }
}

/// How many objects there are, if this is spacebank's place.
fn objects() -> Option<u32> {
    let bytes = arguments::bytes();
    let word = |offset: usize| -> Option<u64> {
        let bytes = bytes.get(offset..offset + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    (word(0)? == BANK_MAGIC).then_some(word(8)? as u32)
}

fn measure(objects: u32) -> Result<(), Failed> {
    // The highest numbers are free: what the system began with has the lowest.
    let segment = objects - 1;
    RANGE.mint(&Kernel, segment, Kind::Table1 as u8, SEGMENT.address())?;
    let last = (layout::SHARED_END >> 21) - 1;
    SPACE.map(&Kernel, last, SEGMENT, Rights::READ | Rights::WRITE)?;
    let first = segment - PAGES as u32;

    let zero = PAGES * zeroing();
    let [mut minted, mut zeroed, mut rescinded] = [Statistics::new(); 3];
    for _ in 0..ROUNDS {
        write_batches(first).map_err(|_| Error::VOID)?;
        let begin = ticks();
        RANGE.mint_into(
            &Kernel,
            message_page::PAGE,
            SEGMENT.address(),
            MINTS as u64,
            PAGES,
        )?;
        let middle = ticks();
        let mut done = 0;
        while done < PAGES {
            let offset = RESCINDS as u64 + done * size_of::<Rescind>() as u64;
            let (count, _) = RANGE.rescind(&Kernel, message_page::PAGE, offset, PAGES - done)?;
            done += count;
        }
        let end = ticks();
        minted.add(middle - begin, PAGES);
        zeroed.add(end - middle, PAGES);
        rescinded.add((end - middle).saturating_sub(zero), PAGES);
        check(first)?;
    }
    say!("figure mint.32 {} instructions", minted.mean());
    say!("figure rescind.32 {} instructions", rescinded.mean());
    say!("figure rescind.32.zeroed {} instructions", zeroed.mean());
    Ok(())
}

/// What the string instruction costs that the kernel zeroes a frame with, in ticks.
fn zeroing() -> u64 {
    let mut page = [0u64; PAGE_SIZE / 8];
    let mut once = |words: usize| {
        let begin = ticks();
        // SAFETY:
        // - it writes `words` words from `page` on, which is as long at least;
        // - the direction flag is clear, as the ABI has it.
        unsafe {
            core::arch::asm!(
                "rep stosq",
                inout("rcx") words => _,
                inout("rdi") page.as_mut_ptr() => _,
                in("rax") 0,
                options(nostack, preserves_flags),
            );
        }
        ticks() - begin
    };
    // One word less the other costs but the iterations; the first is as many as a frame needs.
    once(PAGE_SIZE / 8) - once(0)
}

fn write_batches(first: u32) -> Result<(), sys::Fault> {
    let page = message_page::batch();
    for n in 0..PAGES as usize {
        let (oid, mint) = (first + n as u32, MINTS + n * size_of::<Mint>());
        page.store_u32(mint + offset_of!(Mint, oid), oid)?;
        page.store_u8(mint + offset_of!(Mint, kind), Kind::Page as u8)?;
        let rights = Rights::READ | Rights::WRITE;
        page.store_u8(mint + offset_of!(Mint, rights), rights.bits())?;
        page.store_u16(mint + offset_of!(Mint, index), n as u16)?;
        page.store_u32(RESCINDS + n * size_of::<Rescind>(), oid)?;
    }
    Ok(())
}

/// All pages are free again.
fn check(first: u32) -> Result<(), Failed> {
    for oid in first..first + PAGES as u32 {
        let (_, state, _) = RANGE.query(&Kernel, oid)?;
        if state != 0 {
            return Err(Failed::Wrong("a page was not taken back"));
        }
    }
    Ok(())
}
