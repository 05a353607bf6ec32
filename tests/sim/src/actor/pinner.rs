//! A driver in miniature: pins what others offer, so that a device writes into it, and exchanges it.
//!
//! It is there for the kernel's sake: pins that come and go in any order, through several apertures of
//! several functions; owners that go before their pins do; frames that change owners while they are
//! pinned; a device that writes until the last moment.

mod exchanges;
mod scribbler;

use std::rc::Rc;

use abi::batch::direction;
use abi::boot::slot;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{EACCES, EBADF, EBUSY, ENOENT, OK};
use dev::program::{BANK, PROCESS};
use dev::window::{Limbo, Window};
use dev::{Activity, Program as _};
use kernel::frame::Frame;
use sys::object::{Aperture, DeviceDma, Notify, Table};
use sys::{Cap, Error, Event, Mem, Message, Request, Sys};

use crate::actor::SLEEP;
use crate::context::Context;
use crate::pci::FUNCTIONS;
use crate::plant::Plant;
use crate::program::Program;
use crate::region::Region;
use crate::world::Code;

pub use scribbler::Scribbler;

use exchanges::{KEPT, POOL};
use scribbler::{Target, home_of};

/// Pins: `w1` pages in the first places of `c0`, a segment with `READ`, `WRITE` and `PIN`.
pub const PIN: u64 = 1;
/// Unpins everything; answers when nothing is pinned.
pub const DRAIN: u64 = 2;

/// Where it finds the authority over its device's functions, one after the other.
pub const FUNCTION: CapAddr = slot::GRANT;
/// The function of each of its apertures, as an index into [`FUNCTIONS`].
const APERTURES: [usize; 3] = [0, 0, 1];

/// What it does.
pub const ACTIVITIES: [Activity; 7] = [
    Activity::Absent,
    Activity::Waiting,
    Activity::Serving,
    Activity::Receiving,
    Activity::Exchanging,
    Activity::PinningReceive,
    Activity::UnpinningReceive,
];

/// Bit that tells of slots whose owner is gone.
const LIMBO: u64 = 1;
/// Slots that it uses of each aperture.
const SLOTS: u16 = 24;

/// The program, for this device.
pub fn code(device: &Rc<Scribbler>) -> Code {
    let device = device.clone();
    Rc::new(move |context| match Pinner::new(context, &device) {
        Ok(mut pinner) => pinner.serve(),
        Err(error) => context.claim(false, || format!("the pinner can't start: {error}")),
    })
}

/// An aperture with its window, and the function that it is bound to.
struct Bound {
    window: Window<Program>,
    function: u16,
}

struct Pinner {
    context: Context,
    program: Program,
    device: Rc<Scribbler>,
    bound: Vec<Bound>,
    /// Slots in use: which aperture, which slot.
    used: Vec<(usize, u16)>,
    /// Of these, slots whose owner is gone, as it was told.
    told: Vec<(usize, u16)>,
    offered: CapAddr,
    caller: CapAddr,
    /// The first of the segments that it keeps; behind the last one lies its own.
    kept: CapAddr,
    /// Where it sees its own.
    views: Vec<Region>,
}

impl Pinner {
    fn new(context: &Context, device: &Rc<Scribbler>) -> Result<Pinner, Error> {
        let program = Program::start(context);
        context.world().coverage.set_driver(context.oid());
        let buy = |kind, slot| -> Result<CapAddr, Error> {
            let (table, index) = program.table_of(slot);
            BANK.buy_caps(context, kind, 1, table, index)?;
            Ok(slot)
        };
        let limbo = program.take_slot()?;
        PROCESS.make_notify(context, LIMBO, limbo)?;
        let mut bound = Vec::new();
        for index in APERTURES {
            let aperture: Cap<Aperture> = Cap::at(buy(Kind::Aperture, program.take_slot()?)?);
            let segment: Cap<Table> = Cap::at(buy(Kind::Table1, program.take_slot()?)?);
            aperture.set_window(context, segment)?;
            let function: Cap<DeviceDma> = Cap::at(FUNCTION + index as CapAddr);
            function.bind(context, aperture)?;
            aperture.set_limbo_notify(context, Cap::<Notify>::at(limbo))?;
            function.set_master(context, true)?;
            bound.push(Bound {
                window: Window::open(&program, aperture, segment)?,
                function: FUNCTIONS[index],
            });
        }
        device.reset();
        let kept = program.take_run(KEPT + 1)?;
        let pool: Cap<Table> = Cap::at(buy(Kind::Table1, kept + KEPT)?);
        let rights = Rights::READ | Rights::WRITE;
        BANK.buy_places(context, Kind::Page, POOL, pool, 0, rights)?;
        let mut views = vec![program.map(pool, rights)?];
        if context.world().dice.one_in(2) {
            views.push(program.map(pool, rights)?);
        }
        let views = views.iter().map(|place| program.own(place)).collect();
        let (offered, caller) = (program.take_slot()?, program.take_slot()?);
        Ok(Pinner {
            context: context.clone(),
            program,
            device: device.clone(),
            bound,
            used: Vec::new(),
            told: Vec::new(),
            offered,
            caller,
            kept,
            views,
        })
    }

    fn serve(&mut self) {
        let receive = [self.offered, 0, 0, 0];
        while !self.context.is_gone() {
            let pause = self.context.world().dice.below(200_000);
            let _ = self.program.arm(self.program.now() + pause, SLEEP);
            self.program.doing(Activity::Waiting);
            let event = self.context.wait(receive);
            self.program.doing(Activity::Serving);
            match event {
                Event::Request(request) => self.answer(&request),
                Event::Notified { group: 0, bits } => {
                    if bits >> LIMBO & 1 != 0 || self.context.world().dice.one_in(50) {
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
        self.program.doing(Activity::PinningReceive);
        let segment = Cap::at(self.offered);
        let mut answer = OK;
        for place in 0..request.words[1].min(8) as u16 {
            answer = self.pin_one(segment, place);
            if answer != OK {
                break;
            }
        }
        self.pin_own();
        self.keep_offer();
        answer
    }

    /// Pins something of its own, so that there is something to exchange it for.
    fn pin_own(&mut self) {
        let place = self.context.world().dice.below(POOL) as u16;
        self.pin_one(Cap::at(self.kept + KEPT), place);
    }

    /// Pins a page into any free slot.
    fn pin_one(&mut self, segment: Cap<Table>, place: u16) -> u32 {
        let dice = &self.context.world().dice;
        let aperture = dice.below(self.bound.len() as u64) as usize;
        let free = (0..SLOTS).find(|slot| !self.used.contains(&(aperture, *slot)));
        let Some(slot) = free else {
            return Error::new(EBUSY).0;
        };
        let way = *dice.pick(&[direction::FROM_DEVICE, direction::BOTH]);
        let Bound { window, function } = &self.bound[aperture];
        let pinned = window
            .aperture()
            .pin(&self.context, slot, segment, place, way);
        let world = self.context.world();
        match pinned {
            Ok(address) => {
                self.used.push((aperture, slot));
                world.count("frames pinned");
                let home = home_of(world, Frame::holding(address));
                self.context
                    .claim(home.is_some(), || "it pinned what lies nowhere".to_owned());
                if let Some(home) = home {
                    self.device.add(Target {
                        aperture,
                        slot,
                        function: *function,
                        address,
                        home,
                    });
                }
                OK
            }
            // The client may take its segment back at any instant.
            Err(error) => {
                let known = [ENOENT, EBUSY, EACCES, EBADF];
                let expected = error == Error::VOID || known.iter().any(|e| error.is(*e));
                self.context.claim(expected, || format!("pinning: {error}"));
                error.0
            }
        }
    }

    /// What it pinned never faults: it is memory that can't vanish.
    fn use_pins(&mut self) {
        let world = self.context.world().clone();
        if world.dice.one_in(2) {
            self.look_at_own();
            self.program.doing(Activity::Exchanging);
            self.exchange_something();
        }
        if self.used.is_empty() {
            return;
        }
        self.program.doing(Activity::Receiving);
        let (aperture, slot) = *world.dice.pick(&self.used);
        let offset = usize::from(slot) * 4096 + 8 * world.dice.below(512) as usize;
        let memory = self.bound[aperture].window.memory();
        let _ = memory.load_u64(offset);
        let _ = memory.store_u64(offset, world.dice.word());
        if world.dice.one_in(3) {
            self.unpin_one();
        }
    }

    fn unpin_one(&mut self) {
        self.program.doing(Activity::UnpinningReceive);
        let n = self.context.world().dice.below(self.used.len() as u64) as usize;
        let (aperture, slot) = self.used.swap_remove(n);
        self.told.retain(|told| *told != (aperture, slot));
        // The device is done first, then the frame is let go.
        if !self.context.world().processor.machine().has(Plant::WriteOn) {
            self.device.remove(aperture, slot);
        }
        let unpinned = self.bound[aperture]
            .window
            .aperture()
            .unpin(&self.context, slot);
        self.context.claim(unpinned.is_ok(), || {
            format!("unpinning {slot}: {unpinned:?}")
        });
    }

    /// It is told of each slot whose owner is gone, once.
    fn learn_of_limbo(&mut self) {
        for (aperture, Bound { window, .. }) in self.bound.iter().enumerate() {
            let Ok((_, gone, _)) = window.aperture().info(&self.context) else {
                return;
            };
            loop {
                let Ok(slots) = window.limbo(&self.program) else {
                    return;
                };
                let count = slots.len();
                for slot in slots.map(|slot| (aperture, slot)) {
                    self.context.world().count("pinned frames whose owner went");
                    let known = self.used.contains(&slot) && !self.told.contains(&slot);
                    self.context
                        .claim(known, || format!("{slot:?} is not in use, or told twice"));
                    self.told.push(slot);
                }
                if count < Limbo::FULL {
                    break;
                }
            }
            let told = self.told.iter().filter(|told| told.0 == aperture).count();
            self.context.claim(told as u64 >= gone, || {
                format!("{gone} slots of aperture {aperture} without an owner, and {told} told")
            });
        }
    }
}
