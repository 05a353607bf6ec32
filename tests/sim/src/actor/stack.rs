//! A network stack: attaches to its port, receives, sends, gives back; some never leave, some come
//! and go, some play foul.

mod foul;
mod traffic;

use std::collections::VecDeque;
use std::rc::Rc;

use abi::boot::slot;
use abi::cap::CapAddr;
use dev::Program as _;
use dev::port::Port;
use dev::program::{BANK, PROCESS};
use dev::segment::TransmitSegment;
use dev::session::{Frame, Lost, Session};
use sys::bank::Usage;
use sys::object::Notify;
use sys::{Cap, Event, Sys};

use crate::actor::{SLEEP, sleep};
use crate::card::Card;
use crate::context::Context;
use crate::guard::Guard;
use crate::network::{Network, Party, RECEIVE_PAGES, groups};
use crate::program::Program;
use crate::world::Code;

/// Where a stack finds its port.
pub const PORT: CapAddr = slot::GRANT;
/// Bit by which the driver notifies.
const READY: u64 = 0;

/// Milliseconds within which the storage of a session that is over comes back.
const PATIENCE: u32 = 100;

/// How a stack behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Attaches once, and answers for every frame.
    Steady,
    /// Comes and goes, slow to give back, and now and then destroys its session's bank.
    Flighty,
    /// Writes into its rings what it likes, sends in others' names, takes its pages away, and keeps the
    /// driver busy with nothing.
    Foul,
}

impl Manner {
    /// As the word that a stack is started with, with the user's number.
    pub const fn word(self, user: Party) -> u64 {
        user as u64 | (self as u64) << 16
    }

    const fn from_word(word: u64) -> Manner {
        match word >> 16 {
            0 => Manner::Steady,
            1 => Manner::Flighty,
            _ => Manner::Foul,
        }
    }
}

/// The program.
pub fn code(network: &Rc<Network>, card: &Rc<Card>, guard: &Rc<Guard>) -> Code {
    let (network, card, guard) = (network.clone(), card.clone(), guard.clone());
    Rc::new(move |context| {
        let program = Program::start(context);
        let user = context.argument() as u16;
        let notify = program.take_slot().unwrap_or(0);
        let made = PROCESS.make_notify(context, READY, notify);
        context.claim(made.is_ok(), || format!("no notification: {made:?}"));
        let segment = TransmitSegment::buy(&program, card.transmit_pages());
        let Ok(segment) = segment else {
            return wait_for_the_end(context);
        };
        let mut stack = Stack {
            context: context.clone(),
            program,
            network: network.clone(),
            card: card.clone(),
            guard: guard.clone(),
            user,
            manner: Manner::from_word(context.argument()),
            interposed: network.is_interposed(user),
            notify: Cap::at(notify),
            segment,
            swapped: None,
        };
        while !context.is_gone() {
            stack.live();
        }
    })
}

/// Its bank is being destroyed, and the process with it.
fn wait_for_the_end(context: &Context) {
    while !context.is_gone() {
        context.wait([0; 4]);
    }
}

struct Stack {
    context: Context,
    program: Program,
    network: Rc<Network>,
    card: Rc<Card>,
    guard: Rc<Guard>,
    user: Party,
    manner: Manner,
    /// A copier is its driver.
    interposed: bool,
    notify: Cap<Notify>,
    segment: TransmitSegment<Program>,
    /// The page that it put in the place of one of its transmit pages.
    swapped: Option<CapAddr>,
}

/// How a session ended.
enum Over {
    Lost(Lost),
    Left,
}

impl Stack {
    fn dice(&self) -> &crate::random::Dice {
        &self.context.world().dice
    }

    /// One session, from its beginning to its end.
    fn live(&mut self) {
        let epoch = self.network.epoch();
        let before = BANK.usage(&self.context);
        let few = self.manner != Manner::Steady && self.dice().one_in(4);
        let receive_pages = match few {
            true => self.dice().range(2, RECEIVE_PAGES.into()) as u16,
            false => RECEIVE_PAGES,
        };
        self.network.attaches(self.user);
        let attached = Session::attach(
            &self.program,
            Port::at(PORT),
            BANK,
            &self.segment,
            receive_pages,
            self.notify,
        );
        let mut session = match attached {
            Ok(session) => session,
            Err(error) => {
                // Too often, or the driver or the port is gone, or its bank: later, perhaps.
                self.context.note(|| format!("can't attach: {error}"));
                self.network.set_open(self.user, false);
                let pause = 1_000_000 + self.dice().below(30_000_000);
                return sleep(&self.program, pause);
            }
        };
        self.context.note(|| "attached".to_owned());
        self.context.world().count("sessions");

        self.guard
            .opened(&self.context, self.user, session.caps().segment.address());
        self.network.began(self.user);
        self.join_groups(&session, epoch);
        if epoch == self.network.epoch() {
            self.network.set_open(self.user, true);
        }
        let over = self.talk(&mut session, epoch);
        self.network.set_open(self.user, false);
        self.context.note(|| "its session is over".to_owned());
        let driver_lives = epoch == self.network.epoch();
        if let Over::Lost(lost) = over {
            self.context.world().count("sessions lost");
            let steady = self.network.is_steady(self.user);
            // With something between, the driver's death is no reason.
            let died = !driver_lives && !self.interposed;
            let expected = !steady || died || self.is_doomed();
            self.context.claim(expected, || {
                format!("a steady stack lost its session: {lost}")
            });
        }
        if !driver_lives || self.dice().one_in(4) {
            // Nobody else would: with the driver gone, what it bought stays the user's to end.
            let _ = session.caps().bank.destroy(&self.context);
        }
        session.detach(&self.program);
        if driver_lives && !self.interposed {
            self.check_quota(epoch, before);
        }
    }

    /// Whether its bank is being destroyed.
    fn is_doomed(&self) -> bool {
        BANK.usage_of_kind(&self.context, abi::cap::Kind::Page) == Err(sys::Error::VOID)
    }

    /// After a session everything comes back: at once if the stack ended it, soon if somebody else did.
    fn check_quota(&self, epoch: u32, before: Result<Usage, sys::Error>) {
        let Ok(before) = before else { return };
        // Slots for capabilities may have come, and stay; and a page of its own.
        let more = 1 + u64::from(self.swapped.is_some());
        for patience in (0..PATIENCE).rev() {
            let Ok(after) = BANK.usage(&self.context) else {
                return;
            };
            let back = after.bought <= before.bought + more && after.children == before.children;
            let excused = || epoch != self.network.epoch() || self.is_doomed();
            if back || self.context.is_gone() || excused() {
                return;
            }
            self.context.claim(patience > 0, || {
                format!("a session's storage didn't come back: {before:?} before, {after:?} after")
            });
            sleep(&self.program, 1_000_000);
        }
    }

    fn talk(&mut self, session: &mut Session<Program>, epoch: u32) -> Over {
        let mut held = VecDeque::new();
        let mut patience = 1 + self.dice().below(400);
        while !self.context.is_gone() {
            if self.manner != Manner::Steady {
                patience -= 1;
                if patience == 0 {
                    break;
                }
            }
            // Behind a copier a session outlives the driver. What was sent about then may be lost, so
            // after a while the stack begins anew.
            if self.interposed && epoch != self.network.epoch() && self.dice().one_in(40) {
                break;
            }
            if let Err(lost) = self.round(session, &mut held, epoch) {
                return Over::Lost(lost);
            }
        }
        Over::Left
    }

    fn round(
        &mut self,
        session: &mut Session<Program>,
        held: &mut VecDeque<Frame>,
        epoch: u32,
    ) -> Result<(), Lost> {
        let busy = self.take_in(session, held)?;
        let returned = self.hand_back(session, held);
        self.send(session, epoch)?;
        if self.manner != Manner::Steady && self.dice().one_in(40) {
            self.change_groups(session);
        }
        if self.manner == Manner::Foul && self.dice().one_in(12) {
            self.play_foul(session);
        }
        session.flush(&self.program)?;
        self.network.given_back(self.user, returned);
        if self.manner == Manner::Flighty && self.dice().one_in(300) {
            self.context
                .note(|| "destroys its session's bank".to_owned());
            self.context
                .world()
                .count("session banks destroyed by their stacks");
            let done = session.caps().bank.destroy(&self.context);
            let gone = matches!(done, Ok(()) | Err(sys::Error::VOID));
            self.context
                .claim(gone, || format!("destroying its session's bank: {done:?}"));
        }
        if !busy && held.is_empty() && !session.ask(&self.program, false)? {
            self.pause();
        }
        Ok(())
    }

    /// Joins some groups, before anybody sends to it.
    fn join_groups(&self, session: &Session<Program>, epoch: u32) {
        for group in groups::TEAMS {
            if self.dice().one_in(2) {
                continue;
            }
            self.network.asks_for(self.user, group);
            let joined = session.subscribe(&self.program, crate::network::mac(group), true);
            match joined {
                Ok(()) => self.network.joined(self.user, group),
                Err(error) => {
                    let excused = !self.network.is_steady(self.user)
                        || epoch != self.network.epoch()
                        || self.is_doomed();
                    self.context
                        .claim(excused, || format!("joining a group: {error}"));
                }
            }
        }
    }

    /// Joins a group, or leaves it.
    fn change_groups(&self, session: &Session<Program>) {
        let group = *self.dice().pick(&groups::TEAMS);
        let wanted = self.dice().one_in(2);
        self.network.asks_for(self.user, group);
        let changed = session.subscribe(&self.program, crate::network::mac(group), wanted);
        if wanted && changed.is_ok() {
            self.network.joined(self.user, group);
        }
        self.context.world().count("groups joined and left");
    }

    /// Waits for the driver, or for a while.
    fn pause(&self) {
        let while_ = self.program.now() + 20_000 + self.dice().below(400_000);
        if self.program.arm(while_, SLEEP).is_ok() {
            let event = self.context.wait([0; 4]);
            self.context
                .claim(matches!(event, Event::Notified { .. }), || {
                    format!("a message for a stack: {event:?}")
                });
        }
    }
}
