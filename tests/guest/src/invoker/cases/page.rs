//! Pages.

use abi::cap::{Kind, Rights};
use abi::error::{EACCES, EINVAL, EPERM, OK};
use abi::method::page;

use crate::bed::holds;
use crate::{Case, case, own};

pub const CASES: &[Case] = &[
    case("page.read: not a multiple of 8", EINVAL, |bed| {
        bed.call(bed.buy(Kind::Page)?, &[page::READ, 4])
    }),
    case(
        "page.read: six words reach beyond the page",
        EINVAL,
        |bed| bed.call(bed.buy(Kind::Page)?, &[page::READ, 4096 - 40]),
    ),
    case("page.read: an offset that wraps", EINVAL, |bed| {
        bed.call(bed.buy(Kind::Page)?, &[page::READ, u64::MAX - 7])
    }),
    case("page.read: without READ", EACCES, |bed| {
        bed.call(bed.buy_without(Kind::Page, Rights::READ)?, &[page::READ, 0])
    }),
    case("page.write: no words", EINVAL, |bed| {
        bed.call(bed.buy(Kind::Page)?, &[page::WRITE, 0, 0])
    }),
    case("page.write: four words", EINVAL, |bed| {
        bed.call(bed.buy(Kind::Page)?, &[page::WRITE, 0, 4])
    }),
    case("page.write: beyond the page", EINVAL, |bed| {
        bed.call(bed.buy(Kind::Page)?, &[page::WRITE, 4088, 2])
    }),
    case("page.write: not a multiple of 8", EINVAL, |bed| {
        bed.call(bed.buy(Kind::Page)?, &[page::WRITE, 1, 1])
    }),
    case("page.write: without WRITE", EACCES, |bed| {
        bed.call(
            bed.buy_without(Kind::Page, Rights::WRITE)?,
            &[page::WRITE, 0, 1],
        )
    }),
    case("page.unmap: without all rights", EPERM, |bed| {
        bed.call(
            bed.buy_without(Kind::Page, Rights::INSPECT)?,
            &[page::UNMAP],
        )
    }),
    own(
        "page: what is written is read, to the last word",
        OK,
        |bed| {
            let page = bed.buy(Kind::Page)?;
            let before = bed.must(page, &[page::READ, 0], &[])?;
            bed.must(page, &[page::WRITE, 4072, 3, 1, 2, 3], &[])?;
            let after = bed.must(page, &[page::READ, 4048], &[])?;
            holds(before == [0; 6] && after == [0, 0, 0, 1, 2, 3])
        },
    ),
];
