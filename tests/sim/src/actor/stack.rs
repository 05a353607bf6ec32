//! A network stack: attaches to its port, receives, sends, gives back; some never leave, some come
//! and go, some play foul.

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
use sys::{Cap, Event, Mem, Sys};

use crate::actor::{SLEEP, sleep};
use crate::card::Card;
use crate::checks::Check;
use crate::context::Context;
use crate::guard::Guard;
use crate::network::{self, Network, Party, RECEIVE_PAGES, SHORTEST, Stamp, WIRE};
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
    /// Writes into its rings what it likes, and sends in others' names.
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
            notify: Cap::at(notify),
            segment,
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
    notify: Cap<Notify>,
    segment: TransmitSegment<Program>,
}

/// How a session ended.
enum Over {
    Lost(Lost),
    Left,
}

impl From<Lost> for Over {
    fn from(lost: Lost) -> Over {
        Over::Lost(lost)
    }
}

impl Stack {
    fn dice(&self) -> &crate::random::Dice {
        &self.context.world().dice
    }

    /// One session, from its beginning to its end.
    fn live(&mut self) {
        let epoch = self.network.epoch();
        let before = BANK.usage(&self.context);
        let attached = Session::attach(
            &self.program,
            Port::at(PORT),
            BANK,
            &self.segment,
            RECEIVE_PAGES,
            self.notify,
        );
        let mut session = match attached {
            Ok(session) => session,
            Err(error) => {
                // Too often, or the driver or the port is gone, or its bank: later, perhaps.
                self.context.note(|| format!("can't attach: {error}"));
                let pause = 1_000_000 + self.dice().below(30_000_000);
                return sleep(&self.program, pause);
            }
        };
        self.context.note(|| "attached".to_owned());
        self.context.world().count("sessions");

        self.guard
            .opened(&self.context, self.user, session.caps().segment.address());
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
            let expected = !steady || !driver_lives || self.is_doomed();
            self.context.claim(expected, || {
                format!("a steady stack lost its session: {lost}")
            });
        }
        if !driver_lives || self.dice().one_in(4) {
            // Nobody else would: with the driver gone, what it bought stays the user's to end.
            let _ = session.caps().bank.destroy(&self.context);
        }
        session.detach(&self.program);
        if driver_lives {
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
        for patience in (0..PATIENCE).rev() {
            let Ok(after) = BANK.usage(&self.context) else {
                return;
            };
            // Slots for capabilities may have come, and stay.
            let back = after.bought <= before.bought + 1 && after.children == before.children;
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
        if self.manner == Manner::Foul && self.dice().one_in(12) {
            self.play_foul(session);
        }
        session.flush(&self.program)?;
        self.network.given_back(self.user, epoch, returned);
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

    /// Receives what has come.
    fn take_in(
        &mut self,
        session: &mut Session<Program>,
        held: &mut VecDeque<Frame>,
    ) -> Result<bool, Lost> {
        let mut busy = false;
        for _ in 0..4 {
            let Some(frame) = session.receive()? else {
                break;
            };
            busy = true;
            let mut bytes = vec![0; frame.len()];
            let read = frame.read(session.receive_memory(), &mut bytes);
            if read.is_err() {
                self.context
                    .world()
                    .count("receive memory gone while a frame was read");
                return Err(Lost::Revoked);
            }
            self.context.world().checks.count(Check::Frame);
            if let Err(claim) = self.network.arrived(self.user, &bytes) {
                self.context.claim(false, || claim);
            }
            held.push_back(frame);
            self.context.world().count("frames received");
        }
        Ok(busy)
    }

    /// Gives back what it holds: a steady stack at once, another when it likes. Answers how
    /// many pages.
    fn hand_back(&mut self, session: &mut Session<Program>, held: &mut VecDeque<Frame>) -> u32 {
        let all = self.manner == Manner::Steady;
        let count = match all {
            true => held.len(),
            false => self.dice().below(held.len() as u64 + 1) as usize,
        };
        let mut pages = 0;
        for frame in held.drain(..count) {
            pages += network::pages(frame.len());
            session.give_back(frame);
        }
        pages
    }

    /// Sends something to somebody.
    fn send(&mut self, session: &mut Session<Program>, epoch: u32) -> Result<(), Lost> {
        if !self.dice().one_in(3) || session.room()? == 0 || epoch != self.network.epoch() {
            return Ok(());
        }
        let mut others = self.network.open_users();
        others.retain(|party| *party != self.user);
        others.push(WIRE);
        let to = *self.dice().pick(&others);
        let length = self.card.length(self.context.world());
        // The driver takes frames of one piece, so far.
        let length = length
            .min(session.send_limit() as usize)
            .min(abi::PAGE_SIZE);
        let pages = network::pages(length);
        let Some(stamp) = self.network.next(self.user, to, pages) else {
            return Ok(());
        };
        self.put(session, &stamp.frame(length))
    }

    fn put(&self, session: &mut Session<Program>, frame: &[u8]) -> Result<(), Lost> {
        let offset = session.buffer();
        let wrote = session.transmit_memory().write(offset, frame);
        self.context
            .claim(wrote.is_ok(), || format!("its own memory: {wrote:?}"));
        let sent = session.send(frame.len() as u32)?;
        self.context.claim(sent, || {
            "there was room, and a frame was not sent".to_owned()
        });
        Ok(())
    }

    /// Sends in another's name, or writes into its rings what no client should.
    fn play_foul(&mut self, session: &mut Session<Program>) {
        let dice = self.dice();
        if dice.one_in(2) {
            let stolen = Stamp {
                from: self.user ^ 1,
                to: WIRE,
                epoch: self.network.epoch(),
                sequence: 0xdead,
            };
            let frame = stolen.frame(SHORTEST);
            if session.room().is_ok_and(|room| room > 0) {
                let _ = self.put(session, &frame);
            }
            return;
        }
        let memory = session.transmit_memory();
        let page = dice.below(3);
        let word = match dice.below(4) {
            0 => dice.below(600),
            1 => dice.word() & 0xffff_ffff,
            2 => u64::MAX,
            _ => dice.word(),
        };
        // Its control page, or entries of its rings.
        let limit = if page == 0 { 24 } else { 512 };
        let offset = page * 4096 + 8 * dice.below(limit);
        let _ = memory.store_u64(offset as usize, word);
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
