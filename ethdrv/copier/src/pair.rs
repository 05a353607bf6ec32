//! A session with either side.

use abi::cap::CapAddr;
use dev::layout::FIRST_TRANSMIT_PAGE;
use dev::session::{Lost, Session};
use dev::statistics::Counters;
use dev::{Mac, Program};
use ethdrv::misbehaviour::End;
use ethdrv::session;
use sys::object::Notify;
use sys::{Cap, Fault, Mem};

/// What the stack has of the copier.
pub(crate) type Stack<P> = session::Session<P, <P as Program>::Shared>;

/// Which side can't go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The session with the driver is lost.
    Driver(Lost),
    /// The stack's session must end.
    Stack(End),
}

impl From<Lost> for Trouble {
    fn from(lost: Lost) -> Trouble {
        Trouble::Driver(lost)
    }
}

impl From<End> for Trouble {
    fn from(end: End) -> Trouble {
        Trouble::Stack(end)
    }
}

impl From<ring::Error> for Trouble {
    fn from(error: ring::Error) -> Trouble {
        // Rings with the driver are in the hands of `dev`, which says `Lost`.
        Trouble::Stack(error.into())
    }
}

/// What the stack was told of its port. It can't be told otherwise while it is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) mac: Mac,
    pub(crate) frame_limit: u32,
}

impl Told {
    /// What the driver says.
    pub(crate) const fn by<P: Program>(driver: &Session<P>) -> Told {
        Told {
            mac: driver.mac(),
            frame_limit: driver.frame_limit(),
        }
    }
}

/// Both sessions.
pub(crate) struct Pair<P: Program> {
    pub(crate) stack: Stack<P>,
    /// Where the stack's transmit segment is mapped.
    pub(crate) place: P::Place,
    /// `None`: the driver died; it is attached to again.
    pub(crate) driver: Option<Session<P>>,
    pub(crate) told: Told,
    /// Pages of either receive segment.
    pub(crate) receive_pages: u16,
    /// The driver has no room for what the stack wants to send.
    pub(crate) blocked: bool,
}

impl<P: Program> Pair<P> {
    /// Carries frames in both directions, a bounded number. `true`: there may be more.
    pub(crate) fn carry(&mut self, program: &P, counters: &mut Counters) -> Result<bool, Trouble> {
        let Some(driver) = &mut self.driver else {
            // What the stack wants to send stays in its ring.
            return self.publish(program).map(|()| false);
        };
        let mut busy = crate::inward::carry(&mut self.stack, driver, counters)?;
        let (more, blocked) = crate::outward::carry(&mut self.stack, driver, counters)?;
        self.blocked = blocked;
        busy |= more;
        driver.flush(program)?;
        self.publish(program)?;
        Ok(busy)
    }

    /// Shows the stack what was received and taken, and notifies it if it wants that.
    fn publish(&mut self, program: &P) -> Result<(), Trouble> {
        if self.stack.publish()? {
            let notify: Cap<Notify> = Cap::at(self.stack.notify);
            // Who can't be notified any more has only itself to blame.
            let _ = notify.signal(program.sys());
        }
        Ok(())
    }

    /// Asks both sides to be notified of what can be waited for. `true`: it is there already.
    pub(crate) fn ask(&mut self, program: &P) -> Result<bool, Trouble> {
        let mut ready = false;
        if let Some(driver) = &mut self.driver {
            ready |= driver.ask(program, self.blocked)?;
        }
        // While there is no room, it doesn't matter what the stack wants to send; but its memory is
        // looked at.
        let Pair { stack, .. } = self;
        match self.driver.is_some() && !self.blocked {
            true => {
                ready |= stack.transmit.ask(&stack.receive, &stack.transmit_memory)?;
            }
            false => {
                stack.transmit.refresh(&stack.transmit_memory)?;
            }
        }
        Ok(ready)
    }

    /// Takes both apart: the driver lets go of the copier's memory, the stack's pages go back to its
    /// bank. What remains are slots to be emptied.
    pub(crate) fn end(self, program: &P) -> CapAddr {
        if let Some(driver) = self.driver {
            driver.detach(program);
        }
        program.unmap(self.place);
        let mut assets = self.stack.assets;
        while assets.undo(program) {}
        self.stack.notify
    }
}

/// Looks at every page of a transmit segment.
///
/// # Errors
/// One is missing.
pub(crate) fn look_at_pages(memory: &impl Mem, transmit_pages: u16) -> Result<(), Fault> {
    let pages = FIRST_TRANSMIT_PAGE as usize + transmit_pages as usize;
    (0..pages).try_for_each(|page| memory.load_u32(page * abi::PAGE_SIZE).map(|_| ()))
}
