//! What spacebank sells and takes back.
//!
//! `buy.1`, `buy.64`: a purchase of one page, or of 64, straight into empty places of a segment, from a
//! bank below the program's own: the call to spacebank, its accounts along the chain of banks, its
//! call of the kernel, the answer. Not divided by the pages.
//!
//! `destroy.32`: the end of a bank that sold 32 mapped pages, a page: the whole of `destroy`, zeroing
//! included, with what it does once for the bank.

use abi::cap::{Kind, Rights};
use guest::children::{BANK, Failed, SubBank};
use guest::statistics::Statistics;
use rt::clock::ticks;
use rt::{Kernel, shared};
use sys::Cap;
use sys::object::Table;

use crate::print;

const RIGHTS: Rights = Rights::READ.union(Rights::WRITE);

/// Pages in each round of `destroy.32`.
const DESTROYED: u64 = 32;

/// Measures and prints.
pub fn run() -> Result<(), Failed> {
    let segment = shared::buy(BANK, 0)?;
    print("buy.1", buy(segment.table, 1, 4, 64)?);
    print("buy.64", buy(segment.table, 64, 8, 8)?);
    print("destroy.32", destroy(segment.table)?);
    segment.place.unmap()?;
    Ok(())
}

/// `banks` banks that sell `pages` pages `times` times each.
fn buy(
    segment: Cap<Table>,
    pages: u64,
    banks: u64,
    times: u64,
) -> Result<(Statistics, Statistics), Failed> {
    let (mut all, mut single) = (Statistics::new(), Statistics::new());
    for number in 0..2 * banks {
        let owner = SubBank::new(pages * times + 8)?;
        let sell = |n| {
            owner
                .bank
                .buy_places(&Kernel, Kind::Page, pages, segment, n * pages, RIGHTS)
        };
        if number < banks {
            let begin = ticks();
            (0..times).try_for_each(sell)?;
            all.add(ticks() - begin, times);
        } else {
            for n in 0..times {
                let begin = ticks();
                sell(n)?;
                single.add(ticks() - begin, 1);
            }
        }
    }
    Ok((all, single))
}

fn destroy(segment: Cap<Table>) -> Result<(Statistics, Statistics), Failed> {
    let mut measured = Statistics::new();
    for _ in 0..64 {
        let owner = SubBank::new(DESTROYED + 8)?;
        owner
            .bank
            .buy_places(&Kernel, Kind::Page, DESTROYED, segment, 0, RIGHTS)?;
        let begin = ticks();
        owner.bank.destroy(&Kernel)?;
        measured.add(ticks() - begin, DESTROYED);
    }
    Ok((measured, measured))
}
