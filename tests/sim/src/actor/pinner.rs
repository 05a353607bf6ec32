//! A driver in miniature: pins what others offer, so that a device writes into it.
//!
//! It is there for the kernel's sake: pins that come and go in any order, owners that go before
//! their pins do, a device that writes until the last moment.

use std::cell::RefCell;
use std::rc::Rc;

use abi::batch::direction;
use abi::boot::slot;
use abi::cap::{CapAddr, Kind};
use abi::error::{EACCES, EBADF, EBUSY, ENOENT, OK};
use dev::Program as _;
use dev::program::{BANK, PROCESS};
use dev::window::{Limbo, Window};
use sys::object::{Aperture, DeviceDma, Notify, Table};
use sys::{Cap, Error, Event, Mem, Message, Request, Sys};

use crate::actor::SLEEP;
use crate::context::Context;
use crate::machine::Plant;
use crate::pci::FUNCTIONS;
use crate::program::Program;
use crate::world::{Code, Device, Dma, World};

/// Pins: `w1` pages in the first places of `c0`, a segment with `READ`, `WRITE` and `PIN`.
pub const PIN: u64 = 1;
/// Unpins everything; answers when nothing is pinned.
pub const DRAIN: u64 = 2;

/// Where it finds its device's authority.
pub const FUNCTION: CapAddr = slot::GRANT;

/// Bit that tells of slots whose owner is gone.
const LIMBO: u64 = 1;
/// Most slots that it uses.
const SLOTS: u16 = 48;

/// The device: it writes into whatever is pinned for it, and reads it.
#[derive(Default)]
pub struct Scribbler {
    /// Slots in use, by the address that the device has.
    pinned: RefCell<Vec<(u16, u64)>>,
}

impl Device for Scribbler {
    fn act(&self, world: &World) -> bool {
        let pinned = self.pinned.borrow();
        if pinned.is_empty() || !world.processor.machine().pci.is_master(FUNCTIONS[0]) {
            return false;
        }
        let (slot, page) = *world.dice.pick(&pinned);
        let address = page + 8 * world.dice.below(512);
        world.note_device("scribbles into slot", slot.into());
        if world.dice.one_in(4) {
            let mut bytes = [0; 8];
            world.dma(FUNCTIONS[0], address, Dma::Read(&mut bytes))
        } else {
            let bytes = world.dice.word().to_le_bytes();
            world.dma(FUNCTIONS[0], address, Dma::Write(&bytes))
        }
    }

    fn has_work(&self, _: &World) -> bool {
        false
    }
}

/// The program, for this device.
pub fn code(device: &Rc<Scribbler>) -> Code {
    let device = device.clone();
    Rc::new(move |context| match Pinner::new(context, &device) {
        Ok(mut pinner) => pinner.serve(),
        Err(error) => context.claim(false, || format!("the pinner can't start: {error}")),
    })
}

struct Pinner {
    context: Context,
    program: Program,
    device: Rc<Scribbler>,
    window: Window<Program>,
    /// Slots in use.
    used: Vec<u16>,
    offered: CapAddr,
    caller: CapAddr,
}

impl Pinner {
    fn new(context: &Context, device: &Rc<Scribbler>) -> Result<Pinner, Error> {
        let program = Program::start(context);
        let buy = |kind| -> Result<CapAddr, Error> {
            let slot = program.take_slot()?;
            let (table, index) = program.table_of(slot);
            BANK.buy_caps(context, kind, 1, table, index)?;
            Ok(slot)
        };
        let aperture: Cap<Aperture> = Cap::at(buy(Kind::Aperture)?);
        let segment: Cap<Table> = Cap::at(buy(Kind::Table1)?);
        aperture.set_window(context, segment)?;
        let function: Cap<DeviceDma> = Cap::at(FUNCTION);
        function.bind(context, aperture)?;
        let limbo = program.take_slot()?;
        PROCESS.make_notify(context, LIMBO, limbo)?;
        aperture.set_limbo_notify(context, Cap::<Notify>::at(limbo))?;
        let window = Window::open(&program, aperture, segment)?;
        device.pinned.borrow_mut().clear();
        function.set_master(context, true)?;
        let (offered, caller) = (program.take_slot()?, program.take_slot()?);
        Ok(Pinner {
            context: context.clone(),
            program,
            device: device.clone(),
            window,
            used: Vec::new(),
            offered,
            caller,
        })
    }

    fn serve(&mut self) {
        let receive = [self.offered, 0, 0, 0];
        while !self.context.is_gone() {
            let pause = self.context.world().dice.below(200_000);
            let _ = self.program.arm(self.program.now() + pause, SLEEP);
            match self.context.wait(receive) {
                Event::Request(request) => self.answer(&request),
                Event::Notified { group: 0, bits } => {
                    if bits >> LIMBO & 1 != 0 {
                        self.learn_of_limbo();
                    }
                    self.use_pins();
                }
                Event::Notified { .. } => {}
            }
        }
    }

    fn answer(&mut self, request: &Request) {
        if !request.call || self.context.save_caller(self.caller) != OK {
            return;
        }
        let status = match request.words[0] {
            PIN => self.pin(request),
            _ => {
                while !self.used.is_empty() {
                    self.unpin_one();
                }
                OK
            }
        };
        self.context
            .resume(self.caller, status, &Message::default());
    }

    fn pin(&mut self, request: &Request) -> u32 {
        let segment: Cap<Table> = Cap::at(self.offered);
        for place in 0..request.words[1].min(8) as u16 {
            let free = (0..SLOTS).find(|slot| !self.used.contains(slot));
            let Some(slot) = free else {
                return Error::new(EBUSY).0;
            };
            let ways = [direction::FROM_DEVICE, direction::BOTH];
            let way = *self.context.world().dice.pick(&ways);
            let pinned = self
                .window
                .aperture()
                .pin(&self.context, slot, segment, place, way);
            match pinned {
                Ok(address) => {
                    self.used.push(slot);
                    self.context.world().count("frames pinned");
                    self.device.pinned.borrow_mut().push((slot, address));
                }
                // The client may take its segment back at any instant.
                Err(error) => {
                    let known = [ENOENT, EBUSY, EACCES, EBADF];
                    let expected = error == Error::VOID || known.iter().any(|e| error.is(*e));
                    self.context.claim(expected, || format!("pinning: {error}"));
                    return error.0;
                }
            }
        }
        OK
    }

    /// What it pinned never faults: it is memory that can't vanish.
    fn use_pins(&mut self) {
        if self.used.is_empty() {
            return;
        }
        let dice = &self.context.world().dice;
        let slot = *dice.pick(&self.used);
        let offset = usize::from(slot) * 4096 + 8 * dice.below(512) as usize;
        let _ = self.window.memory().load_u64(offset);
        let _ = self.window.memory().store_u64(offset, dice.word());
        if dice.one_in(3) {
            self.unpin_one();
        }
    }

    fn unpin_one(&mut self) {
        let n = self.context.world().dice.below(self.used.len() as u64) as usize;
        let slot = self.used.swap_remove(n);
        // The device is done first, then the frame is let go.
        if !self.context.world().processor.machine().has(Plant::WriteOn) {
            self.device
                .pinned
                .borrow_mut()
                .retain(|(other, _)| *other != slot);
        }
        let unpinned = self.window.aperture().unpin(&self.context, slot);
        self.context.claim(unpinned.is_ok(), || {
            format!("unpinning {slot}: {unpinned:?}")
        });
    }

    fn learn_of_limbo(&mut self) {
        loop {
            let Ok(slots) = self.window.limbo(&self.program) else {
                return;
            };
            let count = slots.len();
            for slot in slots {
                self.context.world().count("pinned frames whose owner went");
                let known = self.used.contains(&slot);
                self.context
                    .claim(known, || format!("slot {slot} is not in use, and orphaned"));
            }
            if count < Limbo::FULL {
                return;
            }
        }
    }
}
