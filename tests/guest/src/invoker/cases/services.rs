//! Clock and log.

use abi::boot::slot;
use abi::cap::{Kind, Rights};
use abi::error::{EACCES, EBADF, EINVAL, EPERM, OK, VOID};
use abi::method::{clock, log};

use crate::bed::holds;
use crate::{Case, case, own};

const PAGE: u16 = slot::MESSAGE;

pub const CASES: &[Case] = &[
    case("clock.arm: bit 4096", EINVAL, |bed| {
        bed.call(slot::CLOCK, &[clock::ARM, 1, 4096])
    }),
    case("clock.arm: a bit that wraps", EINVAL, |bed| {
        bed.call(slot::CLOCK, &[clock::ARM, 1, 1 << 32])
    }),
    own("clock.now: time goes on", OK, |bed| {
        let first = bed.must(slot::CLOCK, &[clock::NOW], &[])?;
        let second = bed.must(slot::CLOCK, &[clock::NOW], &[])?;
        holds(second[0] >= first[0] && second[1] > first[1] && second[2] == first[2])
    }),
    own("random.get: never twice the same", OK, |bed| {
        let first = bed.must(slot::RANDOM, &[abi::method::random::GET], &[])?;
        let second = bed.must(slot::RANDOM, &[abi::method::random::GET], &[])?;
        holds(first.iter().all(|word| !second.contains(word)))
    }),
    own("log.write: no page", VOID, |bed| {
        bed.call(slot::LOG, &[log::WRITE, 0, 1, 1])
    }),
    case("log.write: not a page", EBADF, |bed| {
        bed.call_with(slot::LOG, &[log::WRITE, 0, 1, 1], &[slot::CLOCK])
    }),
    case("log.write: a page that may not be read", EACCES, |bed| {
        let page = bed.buy_without(Kind::Page, Rights::READ)?;
        bed.call_with(slot::LOG, &[log::WRITE, 0, 1, 1], &[page])
    }),
    case("log.write: too long", EINVAL, |bed| {
        bed.call_with(slot::LOG, &[log::WRITE, 0, 1025, 1], &[PAGE])
    }),
    case("log.write: beyond the page", EINVAL, |bed| {
        bed.call_with(slot::LOG, &[log::WRITE, 4090, 7, 1], &[PAGE])
    }),
    case("log.write: an offset that wraps", EINVAL, |bed| {
        bed.call_with(slot::LOG, &[log::WRITE, u64::MAX, 1, 1], &[PAGE])
    }),
    case("log.write: level 0", EINVAL, |bed| {
        bed.call_with(slot::LOG, &[log::WRITE, 0, 1, 0], &[PAGE])
    }),
    case("log.write: level 6", EINVAL, |bed| {
        bed.call_with(slot::LOG, &[log::WRITE, 0, 1, 6], &[PAGE])
    }),
    case("log.console: without CONTROL", EPERM, |bed| {
        let weak = bed.without(slot::LOG, Rights::CONTROL)?;
        bed.call_with(weak, &[log::CONSOLE, 0, 0], &[PAGE])
    }),
    case("log.console: too long", EINVAL, |bed| {
        bed.call_with(slot::LOG, &[log::CONSOLE, 0, 4096], &[PAGE])
    }),
    case("log.set_level: 6", EINVAL, |bed| {
        bed.call(slot::LOG, &[log::SET_LEVEL, 6])
    }),
    case("log.set_level: without CONTROL", EPERM, |bed| {
        bed.call(
            bed.without(slot::LOG, Rights::CONTROL)?,
            &[log::SET_LEVEL, 3],
        )
    }),
    case("log.set_notify: no Notify", EBADF, |bed| {
        bed.call_with(slot::LOG, &[log::SET_NOTIFY], &[slot::CLOCK])
    }),
    case("log.set_notify: without CONTROL", EPERM, |bed| {
        bed.call(bed.without(slot::LOG, Rights::CONTROL)?, &[log::SET_NOTIFY])
    }),
];
