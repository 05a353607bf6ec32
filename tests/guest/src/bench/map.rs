//! Pages mapped and unmapped.
//!
//! `page.map`, `page.unmap`: 64 pages, one invocation each, in a segment that the program has mapped.

use abi::cap::{Kind, Rights};
use guest::children::{BANK, Failed, SubBank};
use guest::statistics::Statistics;
use rt::clock::ticks;
use rt::{Kernel, shared, slots};
use sys::Cap;
use sys::object::Page;

use crate::print;

const PAGES: u64 = 64;

/// Measures and prints.
pub fn run() -> Result<(), Failed> {
    let segment = shared::buy(BANK, 0)?;
    let pages = slots::take_run(PAGES as u16)?;
    let (table, first) = slots::table_of(pages);
    let owner = SubBank::new(PAGES + 8)?;
    owner
        .bank
        .buy_caps(&Kernel, Kind::Page, PAGES, table, first)?;
    let rights = Rights::READ | Rights::WRITE;

    let map = |n: u64| {
        let page: Cap<Page> = Cap::at(pages + n as u16);
        segment.table.map(&Kernel, n, page, rights)
    };
    let unmap = |n: u64| segment.table.unmap(&Kernel, n, 1).map(|_| ());
    let mut whole = [Statistics::new(); 2];
    for _ in 0..4 {
        let steps: [&dyn Fn(u64) -> _; 2] = [&map, &unmap];
        for (statistics, step) in whole.iter_mut().zip(steps) {
            let begin = ticks();
            (0..PAGES).try_for_each(step)?;
            statistics.add(ticks() - begin, PAGES);
        }
    }
    let mut single = [Statistics::new(); 2];
    for n in 0..PAGES {
        let begin = ticks();
        map(n)?;
        let middle = ticks();
        unmap(n)?;
        single[0].add(middle - begin, 1);
        single[1].add(ticks() - middle, 1);
    }
    print("page.map", (whole[0], single[0]));
    print("page.unmap", (whole[1], single[1]));
    segment.place.unmap()?;
    Ok(())
}
