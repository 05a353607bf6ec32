//! By the objects behind it: banks, apertures, the driver's own services.

use alloc::string::String;

use abi::batch::direction;
use abi::cap::{Kind, Rights};
use dev::admin::Admin;
use dev::layout::FIRST_RECEIVE_PAGE;
use dev::program::BANK;
use dev::settings::Receive;
use rt::{Kernel, slots};
use sys::bank::{Bank, BankRights};
use sys::object::{Aperture, Table};
use sys::{Cap, Message, Sys};

use super::mapping::{buy, sell};
use super::{Bed, Check, refused};
use crate::PORT;

/// The ways.
pub const CHECKS: &[Check] = &[
    ("the session's bank", session_bank),
    ("its own bank", own_bank),
    ("an aperture of its own", aperture),
    ("an exchange of its own", exchange),
    ("the driver's administration", administration),
    ("methods that there are not", unknown),
];

/// Any place of the receive memory.
const PLACE: u16 = FIRST_RECEIVE_PAGE as u16;

fn session_bank(bed: &Bed<'_>) -> Result<(), String> {
    let bank = bed.session.caps().bank;
    let into = slots::take().map_err(|error| alloc::format!("{error}"))?;
    let (table, index) = slots::table_of(into);
    let rights = Rights::READ | Rights::WRITE;
    let checks = [
        refused(
            "buying a page from it",
            bank.buy_caps(&Kernel, Kind::Page, 1, table, index),
        ),
        refused(
            "buying places from it",
            bank.buy_places(&Kernel, Kind::Page, 1, bed.transmit.table(), 500, rights),
        ),
        refused("inspecting it", bank.inspect(&Kernel, 0, into)),
        refused(
            "a child of it",
            bank.sub_bank(&Kernel, 1, false, Cap::at(into)),
        ),
        refused("removing it", bank.remove(&Kernel)),
        refused("raising its limit", bank.set_limit(&Kernel, 1 << 20)),
        refused(
            "selling its segment to it",
            bank.sell(&Kernel, bed.segment().address()),
        ),
    ];
    // A capability with all rights has no more of them than this one.
    let all = Cap::<Bank>::at(into);
    let stronger = match bank.restrict(&Kernel, BankRights::all(), all) {
        Ok(()) => refused("inspecting it by a copy", all.inspect(&Kernel, 0, into)),
        Err(_) => Ok(()),
    };
    slots::give(into);
    checks.into_iter().chain([stronger]).collect()
}

fn own_bank(bed: &Bed<'_>) -> Result<(), String> {
    let segment = bed.segment().address();
    refused("selling its segment", BANK.sell(&Kernel, segment))?;
    let into = slots::take().map_err(|error| alloc::format!("{error}"))?;
    // What it can see of its own bank, if anything, has no pages of the session's.
    let mut cursor = 0;
    let mut pages = 0;
    while let Ok((next, kind)) = BANK.inspect(&Kernel, cursor, into) {
        pages += u64::from(kind == Kind::Page as u8);
        if next == 0 {
            break;
        }
        cursor = next;
    }
    slots::give(into);
    let bought = BANK.usage_of_kind(&Kernel, Kind::Page);
    match bought {
        Ok(bought) if pages > bought => Err("it shows more pages than it sold".into()),
        _ => Ok(()),
    }
}

/// An aperture with a window, bound to nothing: nobody gave the stack a device.
fn with_aperture(
    check: impl FnOnce(Cap<Aperture>, Cap<Table>) -> Result<(), String>,
) -> Result<(), String> {
    let aperture = buy(Kind::Aperture)?;
    let window = buy(Kind::Table1)?;
    let _ = Cap::<Aperture>::at(aperture).set_window(&Kernel, Cap::at(window));
    let checked = check(Cap::at(aperture), Cap::at(window));
    sell(aperture)?;
    sell(window)?;
    checked
}

fn aperture(bed: &Bed<'_>) -> Result<(), String> {
    with_aperture(|aperture, window| {
        let both = direction::TO_DEVICE | direction::FROM_DEVICE;
        for direction in [0, direction::TO_DEVICE, direction::FROM_DEVICE, both] {
            refused(
                "pinning it",
                aperture.pin(&Kernel, 0, bed.segment(), PLACE, direction),
            )?;
        }
        refused(
            "mapping it into the window",
            window.map(&Kernel, 0, bed.segment(), Rights::FULL),
        )
    })
}

fn exchange(bed: &Bed<'_>) -> Result<(), String> {
    let own = bed.transmit.table();
    with_aperture(|aperture, _| {
        let theirs = (bed.segment(), PLACE.into());
        refused(
            "exchanging it",
            aperture.exchange(&Kernel, theirs, (own, 3)),
        )?;
        refused(
            "exchanging it",
            aperture.exchange(&Kernel, (own, 3), theirs),
        )
    })
}

fn administration(bed: &Bed<'_>) -> Result<(), String> {
    let capabilities = [PORT.address(), bed.session.caps().link.address()];
    for capability in capabilities {
        let admin = Admin::at(capability);
        let receive = Receive::default();
        refused(
            "changing how it receives",
            admin.set_receive(&Kernel, 0, receive),
        )?;
        let into = slots::take().map_err(|error| alloc::format!("{error}"))?;
        let inspected = refused("inspecting a port", admin.inspect(&Kernel, 0, into));
        let added = with_aperture(|aperture, window| {
            refused(
                "adding an aperture",
                admin.add_aperture(&Kernel, aperture, window),
            )
        });
        slots::give(into);
        inspected.and(added)?;
    }
    Ok(())
}

fn unknown(bed: &Bed<'_>) -> Result<(), String> {
    let segment = bed.segment().address();
    for number in (11..40).chain([u64::MAX]) {
        for capability in [PORT.address(), bed.session.caps().link.address(), segment] {
            let message = Message::new(&[number, 0, 0, 0, 0, 0]).with_caps(&[segment]);
            refused("an unknown method", Kernel.call(capability, &message).ok())?;
        }
    }
    Ok(())
}
