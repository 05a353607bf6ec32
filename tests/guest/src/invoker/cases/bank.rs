//! Banks, as `sys::bank::method` promises.

use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{EACCES, EBADF, EDQUOT, EEXIST, EINVAL, ENOENT, EPERM, ERANGE, OK, Status, VOID};
use abi::method::table;
use rt::Kernel;
use sys::bank::{Bank, BankRights, method};
use sys::{Cap, Error};

use crate::bed::{Bed, holds};
use crate::{Case, case, own};

/// Buys with these words into this.
fn buy(bed: &Bed, words: [u64; 4], into: CapAddr) -> Result<Status, Error> {
    let [kind, count, first, rights] = words;
    bed.call_with(
        bed.bank().address(),
        &[method::BUY, kind, count, first, rights],
        &[into],
    )
}

/// The bank without some rights.
fn weak(bed: &Bed, without: BankRights) -> Result<CapAddr, Error> {
    let into: Cap<Bank> = Cap::at(bed.slot()?);
    bed.bank()
        .restrict(&Kernel, BankRights::all() - without, into)?;
    Ok(into.address())
}

/// A bank below the bed's.
fn below(bed: &Bed, limit: u64, opaque: bool) -> Result<Cap<Bank>, Error> {
    let into: Cap<Bank> = Cap::at(bed.slot()?);
    bed.bank().sub_bank(&Kernel, limit, opaque, into)?;
    Ok(into)
}

const PAGE: u64 = Kind::Page as u64;
const RW: u64 = 3;

pub const CASES: &[Case] = &[
    case("bank.buy: nothing of a kind", EINVAL, |bed| {
        buy(bed, [0, 1, 0, RW], bed.buy(Kind::Table1)?)
    }),
    case("bank.buy: a kind that nobody sells", EINVAL, |bed| {
        buy(bed, [Kind::Clock as u64, 1, 0, 0], bed.buy(Kind::CapTable)?)
    }),
    case("bank.buy: a kind beyond a byte", EINVAL, |bed| {
        buy(bed, [256 + PAGE, 1, 0, 0], bed.buy(Kind::CapTable)?)
    }),
    case("bank.buy: no objects", EINVAL, |bed| {
        buy(bed, [PAGE, 0, 0, RW], bed.buy(Kind::Table1)?)
    }),
    case("bank.buy: 65 objects", EINVAL, |bed| {
        buy(bed, [PAGE, 65, 0, RW], bed.buy(Kind::Table1)?)
    }),
    case("bank.buy: beyond the table", EINVAL, |bed| {
        buy(bed, [PAGE, 2, 511, RW], bed.buy(Kind::Table1)?)
    }),
    case("bank.buy: beyond the capability table", EINVAL, |bed| {
        buy(bed, [PAGE, 2, 127, 0], bed.buy(Kind::CapTable)?)
    }),
    case("bank.buy: places that wrap", EINVAL, |bed| {
        buy(bed, [PAGE, 2, u64::MAX, RW], bed.buy(Kind::Table1)?)
    }),
    case("bank.buy: writable and executable", EINVAL, |bed| {
        buy(bed, [PAGE, 1, 0, 7], bed.buy(Kind::Table1)?)
    }),
    case("bank.buy: into something else", EBADF, |bed| {
        buy(bed, [PAGE, 1, 0, RW], slot::CLOCK)
    }),
    case("bank.buy: pages into level 2", EBADF, |bed| {
        buy(bed, [PAGE, 1, 0, RW], bed.buy(Kind::Table2)?)
    }),
    case("bank.buy: into nothing", EBADF, |bed| {
        buy(bed, [PAGE, 1, 0, RW], 0)
    }),
    case("bank.buy: into a table without MANAGE", EPERM, |bed| {
        buy(
            bed,
            [PAGE, 1, 0, RW],
            bed.buy_without(Kind::Table1, Rights::MANAGE)?,
        )
    }),
    case("bank.buy: a place in use", EEXIST, |bed| {
        buy(bed, [PAGE, 3, 0, RW], bed.segment()?)
    }),
    case("bank.buy: a slot in use", EEXIST, |bed| {
        let table = bed.buy(Kind::CapTable)?;
        buy(bed, [PAGE, 2, 4, 0], table)?;
        buy(bed, [PAGE, 2, 3, 0], table)
    }),
    own("bank.buy: a purchase that fails buys nothing", OK, |bed| {
        let segment = bed.buy(Kind::Table1)?;
        bed.must(segment, &[table::MAP, 63, RW], &[bed.buy(Kind::Page)?])?;
        let before = bed.bank().usage(&Kernel)?;
        let status = buy(bed, [PAGE, 64, 0, RW], segment)?;
        let after = bed.bank().usage(&Kernel)?;
        let first = bed.must(segment, &[table::QUERY, 0], &[])?;
        holds(status != OK && before.bought == after.bought && first[0] == 0)
    }),
    case("bank.buy: more than the limit", EDQUOT, |bed| {
        let small = below(bed, 3, false)?;
        let words = [method::BUY, PAGE, 4, 0, RW];
        bed.call_with(small.address(), &words, &[bed.buy(Kind::Table1)?])
    }),
    own("bank.buy: names the level that refused", OK, |bed| {
        let (upper, segment) = (below(bed, 10, false)?, bed.buy(Kind::Table1)?);
        let lower: Cap<Bank> = Cap::at(bed.slot()?);
        upper.sub_bank(&Kernel, 100, false, lower)?;
        let reply = bed.reply(lower.address(), &[method::BUY, PAGE, 20, 0, RW], &[segment]);
        holds(reply.status == EDQUOT as u32 && reply.words[0] == 1)
    }),
    case("bank.buy: without BUY", EPERM, |bed| {
        let words = [method::BUY, PAGE, 1, 0, RW];
        bed.call_with(
            weak(bed, BankRights::BUY)?,
            &words,
            &[bed.buy(Kind::Table1)?],
        )
    }),
    case(
        "bank.buy: capabilities from an opaque bank",
        EACCES,
        |bed| {
            let opaque = below(bed, 10, true)?;
            let words = [method::BUY, PAGE, 1, 0, 0];
            bed.call_with(opaque.address(), &words, &[bed.buy(Kind::CapTable)?])
        },
    ),
    own("bank.buy: places from an opaque bank", OK, |bed| {
        let opaque = below(bed, 10, true)?;
        let words = [method::BUY, PAGE, 1, 0, RW];
        bed.call_with(opaque.address(), &words, &[bed.buy(Kind::Table1)?])
    }),
    case("bank.sell: another bank's", ERANGE, |bed| {
        let other = below(bed, 10, false)?;
        let page = bed.buy(Kind::Page)?;
        bed.call_with(other.address(), &[method::SELL], &[page])
    }),
    case("bank.sell: with a weak capability", EACCES, |bed| {
        let page = bed.buy_without(Kind::Page, Rights::INSPECT)?;
        bed.call_with(bed.bank().address(), &[method::SELL], &[page])
    }),
    case("bank.sell: no storage", EBADF, |bed| {
        bed.call_with(bed.bank().address(), &[method::SELL], &[slot::CLOCK])
    }),
    case("bank.sell: nothing", EBADF, |bed| {
        bed.call(bed.bank().address(), &[method::SELL])
    }),
    case("bank.sell: without SELL", EPERM, |bed| {
        bed.call_with(
            weak(bed, BankRights::SELL)?,
            &[method::SELL],
            &[bed.buy(Kind::Page)?],
        )
    }),
    case("bank.sell: twice", EBADF, |bed| {
        let page = bed.buy(Kind::Page)?;
        bed.must(bed.bank().address(), &[method::SELL], &[page])?;
        bed.call_with(bed.bank().address(), &[method::SELL], &[page])
    }),
    case("bank.sub_bank: without BUY", EPERM, |bed| {
        bed.call(weak(bed, BankRights::BUY)?, &[method::SUB_BANK, 1, 0])
    }),
    case("bank.restrict: to rights that it lacks", EPERM, |bed| {
        let weak = weak(bed, BankRights::BUY)?;
        bed.call(weak, &[method::RESTRICT, BankRights::BUY.bits().into()])
    }),
    case("bank.inspect: an empty bank", ENOENT, |bed| {
        bed.call(below(bed, 10, false)?.address(), &[method::INSPECT, 0])
    }),
    case("bank.sub_bank: no room for its record", EDQUOT, |bed| {
        let full = below(bed, 0, false)?;
        bed.call(full.address(), &[method::SUB_BANK, 1, 0])
    }),
    case("bank.set_limit: without LIMIT", EPERM, |bed| {
        bed.call(weak(bed, BankRights::LIMIT)?, &[method::SET_LIMIT, 1])
    }),
    case("bank.destroy: without DESTROY", EPERM, |bed| {
        bed.call(weak(bed, BankRights::DESTROY)?, &[method::DESTROY])
    }),
    case("bank.remove: without REMOVE", EPERM, |bed| {
        bed.call(weak(bed, BankRights::REMOVE)?, &[method::REMOVE])
    }),
    case("bank.remove: an opaque bank", EPERM, |bed| {
        bed.call(below(bed, 10, true)?.address(), &[method::REMOVE])
    }),
    case("bank.inspect: without INSPECT", EPERM, |bed| {
        bed.call(weak(bed, BankRights::INSPECT)?, &[method::INSPECT, 0])
    }),
    case("bank.inspect: an opaque bank", EPERM, |bed| {
        bed.call(below(bed, 10, true)?.address(), &[method::INSPECT, 0])
    }),
    own("bank: destroyed, with all below", VOID, |bed| {
        let upper = below(bed, 10, false)?;
        let lower: Cap<Bank> = Cap::at(bed.slot()?);
        upper.sub_bank(&Kernel, 5, false, lower)?;
        upper.destroy(&Kernel)?;
        bed.call(lower.address(), &[method::USAGE])
    }),
    own("bank.destroy: gives everything back", OK, |bed| {
        let before = bed.bank().usage(&Kernel)?;
        let (bank, segment) = (below(bed, 100, false)?, bed.buy(Kind::Table1)?);
        bank.buy_places(&Kernel, Kind::Page, 64, Cap::at(segment), 0, Rights::READ)?;
        bank.destroy(&Kernel)?;
        bed.bank().sell(&Kernel, segment)?;
        let after = bed.bank().usage(&Kernel)?;
        holds(before.bought == after.bought && after.limbo == 0 && after.children == 0)
    }),
    own(
        "verifier: a bank, an opaque one, something else",
        OK,
        |bed| {
            let ask = |what| bed.must(slot::INIT_VERIFIER, &[method::VERIFY], &[what]);
            let opaque = below(bed, 10, true)?;
            let destroyed = below(bed, 10, false)?;
            destroyed.destroy(&Kernel)?;
            let child = bed.child()?;
            let imitation = Cap::<sys::object::Start>::at(bed.slot()?);
            child
                .process
                .make_start(&Kernel, 0x1ff, imitation.address())?;
            holds(
                ask(bed.bank().address())?[..2] == [1, 0]
                    && ask(opaque.address())?[..2] == [1, 1]
                    && ask(destroyed.address())?[0] == 0
                    && ask(slot::CLOCK)?[0] == 0
                    && ask(imitation.address())?[0] == 0
                    && ask(0)?[0] == 0,
            )
        },
    ),
];
