//! Capability tables.

use abi::boot::slot;
use abi::cap::{Kind, Rights};
use abi::error::{EINVAL, ENOENT, EPERM, OK, VOID};
use abi::method::cap_table;

use crate::bed::holds;
use crate::{Case, case, own};

pub const CASES: &[Case] = &[
    case("cap_table.put: slot beyond the table", EINVAL, |bed| {
        bed.call_with(
            bed.buy(Kind::CapTable)?,
            &[cap_table::PUT, 128, 0xff],
            &[slot::CLOCK],
        )
    }),
    case("cap_table.put: a slot that wraps", EINVAL, |bed| {
        bed.call_with(
            bed.buy(Kind::CapTable)?,
            &[cap_table::PUT, 1 << 32, 0xff],
            &[slot::CLOCK],
        )
    }),
    own("cap_table.put: nothing", VOID, |bed| {
        bed.call_with(
            bed.buy(Kind::CapTable)?,
            &[cap_table::PUT, 0, 0xff],
            &[bed.slot()?],
        )
    }),
    case("cap_table.put: without MANAGE", EPERM, |bed| {
        let weak = bed.buy_without(Kind::CapTable, Rights::MANAGE)?;
        bed.call_with(weak, &[cap_table::PUT, 0, 0xff], &[slot::CLOCK])
    }),
    case("cap_table.get: slot beyond the table", EINVAL, |bed| {
        bed.call(bed.buy(Kind::CapTable)?, &[cap_table::GET, 128])
    }),
    case("cap_table.get: an empty slot", ENOENT, |bed| {
        bed.call(bed.buy(Kind::CapTable)?, &[cap_table::GET, 5])
    }),
    case("cap_table.get: a capability that is void", ENOENT, |bed| {
        let table = bed.buy(Kind::CapTable)?;
        bed.must(table, &[cap_table::PUT, 5, 0xff], &[bed.buy(Kind::Page)?])?;
        bed.bank()
            .sell(&rt::Kernel, bed.made(table, &[cap_table::GET, 5])?)?;
        bed.call(table, &[cap_table::GET, 5])
    }),
    case("cap_table.get: without MANAGE", EPERM, |bed| {
        bed.call(
            bed.buy_without(Kind::CapTable, Rights::MANAGE)?,
            &[cap_table::GET, 5],
        )
    }),
    case("cap_table.clear: slot beyond the table", EINVAL, |bed| {
        bed.call(bed.buy(Kind::CapTable)?, &[cap_table::CLEAR, 128, 1])
    }),
    case("cap_table.clear: beyond the table", EINVAL, |bed| {
        bed.call(bed.buy(Kind::CapTable)?, &[cap_table::CLEAR, 1, 128])
    }),
    case("cap_table.clear: no slots", EINVAL, |bed| {
        bed.call(bed.buy(Kind::CapTable)?, &[cap_table::CLEAR, 1, 0])
    }),
    case("cap_table.move: from beyond the table", EINVAL, |bed| {
        bed.call(bed.buy(Kind::CapTable)?, &[cap_table::MOVE, 128, 0])
    }),
    case("cap_table.move: to beyond the table", EINVAL, |bed| {
        bed.call(bed.buy(Kind::CapTable)?, &[cap_table::MOVE, 0, 128])
    }),
    case("cap_table.move: an empty slot", ENOENT, |bed| {
        bed.call(bed.buy(Kind::CapTable)?, &[cap_table::MOVE, 0, 1])
    }),
    case("cap_table.describe: slot beyond the table", EINVAL, |bed| {
        bed.call(bed.buy(Kind::CapTable)?, &[cap_table::DESCRIBE, 128])
    }),
    own("cap_table.put: keeps no more than it says", OK, |bed| {
        let table = bed.buy(Kind::CapTable)?;
        let page = bed.buy_without(Kind::Page, Rights::WRITE)?;
        let asked = Rights::READ | Rights::WRITE;
        bed.must(table, &[cap_table::PUT, 0, asked.bits().into()], &[page])?;
        let words = bed.must(table, &[cap_table::DESCRIBE, 0], &[])?;
        holds(words[..2] == [Kind::Page as u64, Rights::READ.bits().into()])
    }),
    own(
        "cap_table.describe: what is void reads as void",
        OK,
        |bed| {
            let (table, page) = (bed.buy(Kind::CapTable)?, bed.buy(Kind::Page)?);
            bed.must(table, &[cap_table::PUT, 0, 0xff], &[page])?;
            bed.bank().sell(&rt::Kernel, page)?;
            let words = bed.must(table, &[cap_table::DESCRIBE, 0], &[])?;
            holds(words[..2] == [0, 0])
        },
    ),
];
