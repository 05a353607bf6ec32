//! What an attachment is made of: the offer, checked; the session's bank, its segment and pages.

use abi::batch::LIMIT;
use abi::cap::{Kind, Rights};
use abi::error::{EDQUOT, ENOMEM};
use dev::Program;
use dev::layout::FIRST_RECEIVE_PAGE;
use dev::program::{BANK, describe};
use dev::refusal::Refusal;
use sys::bank::{Bank, BankRights, Verifier};
use sys::object::Table;
use sys::{Cap, Error};

use super::{Attaching, Step};
use crate::switch::hidden_pages;

/// The transmit segment must be one, readable and to be pinned; the notification must be one.
pub(super) fn check_offer<P: Program>(
    program: &P,
    attaching: &Attaching<P>,
) -> Result<(), Refusal> {
    let (kind, rights) = describe(program, attaching.segment).map_err(|_| Refusal::NotASegment)?;
    if kind != Kind::Table1 as u8 {
        return Err(Refusal::NotASegment);
    }
    // Nobody but the driver has the pin right on a receive segment: offered here, one is refused.
    if !rights.contains(Rights::READ | Rights::PIN) {
        return Err(Refusal::SegmentNotPinnable);
    }
    let (kind, _) = describe(program, attaching.notify).map_err(|_| Refusal::NotANotify)?;
    // A `Start` is refused: to signal it would be to send a message to whom the client names.
    if kind != Kind::Notify as u8 {
        return Err(Refusal::NotANotify);
    }
    Ok(())
}

/// Makes an opaque bank under the client's, for the control page, the ring and the receive pages.
pub(super) fn make_bank<P: Program>(
    program: &P,
    verifier: Cap<Verifier>,
    attaching: &mut Attaching<P>,
) -> Result<(), Refusal> {
    let sys = program.sys();
    let client: Cap<Bank> = Cap::at(attaching.bank);
    let slot = program.take_slot().map_err(|_| Refusal::DriverFull)?;
    let session: Cap<Bank> = Cap::at(slot);
    // If it is to be sealed, some pages more.
    let pages = attaching.receive_pages + hidden_pages(attaching.receive_pages);
    let limit = FIRST_RECEIVE_PAGE as u64 + pages as u64;
    if let Err(error) = client.sub_bank(sys, limit, true, session) {
        program.give_slot(slot);
        return Err(refuse_bank(error));
    }
    // Until there is a weaker capability, this one is how it is destroyed.
    attaching.assets.bank = Some(slot);
    let weak = program.take_slot().map_err(|_| Refusal::DriverFull)?;
    if let Err(error) = session.restrict(sys, BankRights::DESTROY, Cap::at(weak)) {
        program.give_slot(weak);
        return Err(refuse_bank(error));
    }
    attaching.session_bank = Some(slot);
    attaching.assets.bank = Some(weak);
    let purse = program.take_slot().map_err(|_| Refusal::DriverFull)?;
    attaching.assets.purse = Some(purse);
    session
        .restrict(sys, BankRights::BUY, Cap::at(purse))
        .map_err(refuse_bank)?;
    match verifier.verify(sys, slot) {
        Ok(verdict) if verdict.genuine && verdict.opaque => Ok(()),
        _ => Err(Refusal::NotABank),
    }
}

/// Buys the receive segment from the driver's own bank: it is the driver's, whoever owns the pages.
pub(super) fn make_segment<P: Program>(
    program: &P,
    attaching: &mut Attaching<P>,
) -> Result<(), Refusal> {
    let slot = program
        .take_segment_slot()
        .map_err(|_| Refusal::DriverFull)?;
    let (table, index) = program.table_of(slot);
    if BANK
        .buy_caps(program.sys(), Kind::Table1, 1, table, index)
        .is_err()
    {
        program.give_slot(slot);
        return Err(Refusal::DriverFull);
    }
    attaching.assets.segment = Some(slot);
    Ok(())
}

/// Buys some of the pages from the session's bank.
pub(super) fn buy_pages<P: Program>(
    program: &P,
    attaching: &mut Attaching<P>,
) -> Result<Step, Refusal> {
    let (Some(bank), Some(segment)) = (attaching.session_bank, attaching.assets.segment) else {
        return Err(Refusal::Unknown);
    };
    let (bank, segment): (Cap<Bank>, Cap<Table>) = (Cap::at(bank), Cap::at(segment));
    let wanted = FIRST_RECEIVE_PAGE + attaching.receive_pages as u32;
    let count = (wanted - attaching.bought).min(LIMIT as u32);
    let rights = Rights::READ | Rights::WRITE;
    bank.buy_places(
        program.sys(),
        Kind::Page,
        count as u64,
        segment,
        attaching.bought as u64,
        rights,
    )
    .map_err(refuse_bank)?;
    attaching.bought += count;
    Ok(match attaching.bought < wanted {
        true => Step::Pages,
        false => Step::Map,
    })
}

pub(super) fn map<P: Program>(program: &P, attaching: &mut Attaching<P>) -> Result<(), Refusal> {
    let segment = attaching.assets.segment.ok_or(Refusal::Unknown)?;
    let rights = Rights::READ | Rights::WRITE;
    let place = program
        .map(Cap::at(segment), rights)
        .map_err(|_| Refusal::DriverFull)?;
    attaching.assets.place = Some(place);
    Ok(())
}

fn refuse_bank(error: Error) -> Refusal {
    match error {
        _ if error.is(EDQUOT) || error.is(ENOMEM) => Refusal::BankTooSmall,
        _ => Refusal::NotABank,
    }
}
