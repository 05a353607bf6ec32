//! What a program has besides invocation, in the simulator: `rt`'s counterpart.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use abi::SEGMENT_SIZE;
use abi::boot::{layout, slot};
use abi::cap::{CapAddr, Rights};
use abi::error::EMFILE;
use dev::Activity;
use dev::program::{BATCH_BYTES, PROCESS};
use rt::child::Window;
use rt::slots::{Slots, table_of};
use sys::object::{CapTable, Clock, Table};
use sys::{Cap, Error};

use crate::context::Context;
use crate::image;
use crate::region::Region;

const FIRST: u64 = layout::SHARED / SEGMENT_SIZE as u64;
const PLACES: usize = ((layout::SHARED_END - layout::SHARED) / SEGMENT_SIZE as u64) as usize;
const SPACE: Cap<Table> = Cap::at(slot::SPACE);
const CLOCK: Cap<Clock> = Cap::at(slot::CLOCK);

/// A program: its slots, its places, its fault entry. Copies are the same program.
#[derive(Clone)]
pub struct Program(Rc<Inside>);

struct Inside {
    context: Context,
    slots: RefCell<Slots>,
    places: [Cell<bool>; PLACES],
}

impl Program {
    /// The program of a process that was just started, its fault entry armed.
    pub fn start(context: &Context) -> Program {
        // A process that may not set its fault entry has its faults reported by the kernel alone.
        let _ = PROCESS.set_fault_entry(context, image::FAULT_ENTRY, layout::FAULT_STACK_TOP);
        Program(Rc::new(Inside {
            context: context.clone(),
            slots: RefCell::new(Slots::new()),
            places: [const { Cell::new(false) }; PLACES],
        }))
    }

    /// The context it runs in.
    pub fn context(&self) -> &Context {
        &self.0.context
    }

    /// The address of a place.
    pub fn address(place: usize) -> u64 {
        layout::SHARED + (place * SEGMENT_SIZE) as u64
    }
}

impl dev::Program for Program {
    type Sys = Context;
    type Own = Region;
    type Shared = Region;
    type Place = usize;

    fn sys(&self) -> &Context {
        &self.0.context
    }

    fn now(&self) -> u64 {
        self.0.context.world().now()
    }

    fn arm(&self, deadline: u64, bit: u64) -> Result<(), Error> {
        // Zero would disarm.
        CLOCK.arm(&self.0.context, deadline.max(1), bit)
    }

    fn map(&self, segment: Cap<Table>, rights: Rights) -> Result<usize, Error> {
        let free = self.0.places.iter().position(|taken| !taken.get());
        let place = free.ok_or(Error::new(EMFILE))?;
        SPACE.map(&self.0.context, FIRST + place as u64, segment, rights)?;
        self.0.places[place].set(true);
        Ok(place)
    }

    fn own(&self, place: &usize) -> Region {
        Region::own(&self.0.context, Program::address(*place), SEGMENT_SIZE)
    }

    fn shared(&self, place: &usize) -> Region {
        Region::shared(&self.0.context, Program::address(*place), SEGMENT_SIZE)
    }

    fn unmap(&self, place: usize) {
        if SPACE
            .unmap(&self.0.context, FIRST + place as u64, 1)
            .is_ok()
        {
            self.0.places[place].set(false);
        }
    }

    fn take_slot(&self) -> Result<CapAddr, Error> {
        self.0.slots.borrow_mut().take(&self.0.context)
    }

    fn take_segment_slot(&self) -> Result<CapAddr, Error> {
        self.0.slots.borrow_mut().take_segment(&self.0.context)
    }

    fn give_slot(&self, address: CapAddr) {
        self.0.slots.borrow_mut().give(&self.0.context, address);
    }

    fn table_of(&self, address: CapAddr) -> (Cap<CapTable>, u16) {
        table_of(address)
    }

    fn batch(&self) -> Region {
        Region::own(&self.0.context, layout::MESSAGE, BATCH_BYTES)
    }

    fn doing(&self, activity: Activity) {
        let context = &self.0.context;
        if !context.is_gone() {
            context.world().coverage.doing(context.oid(), activity);
        }
    }
}

impl Program {
    /// Slots that it has taken, and tables that it has bought for them.
    pub fn taken_slots(&self) -> (u32, usize) {
        let slots = self.0.slots.borrow();
        (slots.taken(), slots.tables())
    }

    /// Takes slots that follow each other.
    ///
    /// # Errors
    /// As for `Slots::take_run`.
    pub fn take_run(&self, count: u16) -> Result<CapAddr, Error> {
        self.0.slots.borrow_mut().take_run(&self.0.context, count)
    }
}

/// How a program sees the segments of processes that it makes.
pub struct OwnWindow {
    program: Program,
    place: Option<usize>,
}

impl OwnWindow {
    /// A window that shows nothing yet.
    pub fn new(program: &Program) -> OwnWindow {
        OwnWindow {
            program: program.clone(),
            place: None,
        }
    }
}

impl Window for OwnWindow {
    type Memory = Region;

    fn show(&mut self, segment: Cap<Table>) -> Result<Region, Error> {
        use dev::Program as _;
        self.hide()?;
        let place = self.program.map(segment, Rights::READ | Rights::WRITE)?;
        self.place = Some(place);
        Ok(self.program.shared(&place))
    }

    fn hide(&mut self) -> Result<(), Error> {
        use dev::Program as _;
        if let Some(place) = self.place.take() {
            self.program.unmap(place);
        }
        Ok(())
    }
}
