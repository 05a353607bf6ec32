//! A simulated network card. It stands for no real device: the driver reaches it through `ethdrv`'s
//! transport trait, and it reaches memory by DMA, at its own pace.
//!
//! It fills buffers and sends frames while the driver does other things, reports what was sent in any
//! order, keeps what it was lent as long as it likes, and (if it is told to) says what isn't so.

mod queues;
mod transport;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use dev::Mac;
use ethdrv::transport::{Information, Interest, Piece, Received};
use kernel::frame::Frame;
use kernel::machine::Source;

use crate::context::Context;
use crate::coverage::Held;
use crate::network::{self, Network, SHORTEST, Stamp, WIRE, groups};
use crate::pci::FUNCTIONS;
use crate::world::{Device, Dma, World};

pub use transport::CardTransport;

use queues::{Lie, Queues};

/// The function.
pub const FUNCTION: u16 = FUNCTIONS[1];
/// The entry of its MSI-X table that serves all queues.
pub const ENTRY: u16 = 0;
/// Bytes before a frame, in either direction.
const HEADROOM: u32 = 12;

/// What a card for usual frames is and can do.
const USUAL: Information = Information {
    mac: [0x52, 0x54, 0, 0, 0, 1],
    frame_limit: 1514,
    receive_capacity: 8,
    transmit_capacity: 8,
    pieces: 3,
    receive_headroom: HEADROOM,
    transmit_headroom: HEADROOM,
};

/// What one for long frames is and can do.
const LONG: Information = Information {
    frame_limit: 9014,
    receive_capacity: 16,
    pieces: 6,
    ..USUAL
};

/// The card.
pub struct Card {
    queues: RefCell<Queues>,
    network: Rc<Network>,
    long: Cell<bool>,
    lies: Cell<bool>,
    talks: Cell<bool>,
    strays: Cell<bool>,
}

/// What is said of a frame that is for nobody.
const NOBODY: Stamp = Stamp {
    from: WIRE,
    to: 0x77,
    epoch: 0,
    sequence: 0,
};

impl Card {
    /// A card on this network.
    pub fn new(network: &Rc<Network>) -> Card {
        Card {
            queues: RefCell::default(),
            network: network.clone(),
            long: Cell::new(false),
            lies: Cell::new(false),
            talks: Cell::new(true),
            strays: Cell::new(false),
        }
    }

    /// Whether it carries long frames. To be said before there is a driver.
    pub fn set_long(&self, long: bool) {
        self.long.set(long);
    }

    /// What it is and can do.
    pub fn information(&self) -> Information {
        match self.long.get() {
            true => LONG,
            false => USUAL,
        }
    }

    /// Transmit pages that a stack needs so as to send the longest frames.
    pub fn transmit_pages(&self) -> u16 {
        match self.long.get() {
            true => 24,
            false => 4,
        }
    }

    /// A length that frames have: mostly short, some in several pieces, few as long as can be.
    pub fn length(&self, world: &World) -> usize {
        let dice = &world.dice;
        let limit = self.information().frame_limit;
        match dice.below(16) {
            0 => limit as usize,
            1..=3 => dice.range(SHORTEST as u64, limit.into()) as usize,
            _ => dice.range(SHORTEST as u64, 260) as usize,
        }
    }

    /// Whether it says what isn't so, now and then.
    pub fn set_lies(&self, lies: bool) {
        self.lies.set(lies);
    }

    /// Whether the other end of the wire sends.
    pub fn set_talks(&self, talks: bool) {
        self.talks.set(talks);
    }

    /// Whether it sends frames that are for nobody, also while it does not talk.
    pub fn set_strays(&self, strays: bool) {
        self.strays.set(strays);
    }

    /// Forgets everything that it was lent.
    pub fn reset(&self) {
        *self.queues.borrow_mut() = Queues::default();
    }

    /// The card, as the driver reaches it.
    pub fn transport(self: &Rc<Card>, context: &Context) -> CardTransport {
        CardTransport {
            card: self.clone(),
            context: context.clone(),
        }
    }

    fn raise(&self, world: &World, wanted: bool) {
        if wanted {
            self.queues.borrow_mut().interest = Interest::default();
            world.raise(Source::MsiX {
                function: FUNCTION,
                entry: ENTRY,
            });
        }
    }

    /// The other end of the wire sends something.
    fn hear(&self, world: &World) -> bool {
        if self.queues.borrow().incoming.len() >= 8 {
            return false;
        }
        if !self.talks.get() {
            let stray = self.strays.get().then(|| NOBODY.frame(SHORTEST));
            self.queues.borrow_mut().incoming.extend(stray);
            return self.strays.get();
        }
        let dice = &world.dice;
        let frame = match dice.below(16) {
            0 => self.garbage(world),
            _ => {
                let users = self.network.open_users();
                if users.is_empty() {
                    return false;
                }
                let to = match dice.one_in(10) {
                    true => *dice.pick(&groups::ALL),
                    false => *dice.pick(&users),
                };
                let length = self.length(world);
                let Some(stamp) = self.network.next(WIRE, to, network::pages(length)) else {
                    return false;
                };
                stamp.frame(length)
            }
        };
        self.queues.borrow_mut().incoming.push_back(frame);
        true
    }

    /// What no driver should hand to anybody.
    fn garbage(&self, world: &World) -> Vec<u8> {
        let dice = &world.dice;
        let limit = u64::from(self.information().frame_limit);
        match dice.below(4) {
            // A runt, an empty frame, a giant, one for nobody.
            0 => vec![2; dice.below(14) as usize],
            1 => Vec::new(),
            2 => NOBODY.frame(dice.range(limit + 500, limit + 2300) as usize),
            _ => NOBODY.frame(self.length(world)),
        }
    }

    /// Fills a buffer, or several if the frame is too long for one.
    fn fill(&self, world: &World) -> bool {
        let (frame, buffers) = {
            let mut queues = self.queues.borrow_mut();
            let Some(frame) = queues.incoming.front() else {
                return false;
            };
            let (mut needed, mut room) = (0, 0);
            while needed == 0 || room < frame.len() + HEADROOM as usize {
                let Some((buffer, _)) = queues.buffers.get(needed) else {
                    return false;
                };
                room += buffer.length as usize;
                needed += 1;
            }
            let frame = queues.incoming.pop_front().unwrap_or_default();
            let buffers: Vec<(Piece, u16)> = queues.buffers.drain(..needed).collect();
            (frame, buffers)
        };
        let mut rest = &frame[..];
        let mut entries = Vec::new();
        for (n, (buffer, token)) in buffers.iter().enumerate() {
            let offset = if n == 0 { HEADROOM } else { 0 };
            let room = (buffer.length - offset) as usize;
            let (now, later) = rest.split_at(rest.len().min(room));
            rest = later;
            world.dma(
                FUNCTION,
                buffer.address,
                Dma::Write(&[0xee; HEADROOM as usize][..offset as usize]),
            );
            world.dma(
                FUNCTION,
                buffer.address + u64::from(offset),
                Dma::Write(now),
            );
            entries.push(Received {
                token: *token,
                offset,
                length: now.len() as u32,
                more: n + 1 < buffers.len(),
            });
        }
        world.note_device("receives bytes", frame.len() as u64);
        let wanted = {
            let mut queues = self.queues.borrow_mut();
            queues.filled.extend(entries);
            queues.interest.receive
        };
        self.raise(world, wanted);
        true
    }

    /// Reads a frame and puts it on the wire.
    fn send(&self, world: &World) -> bool {
        let next = self.queues.borrow_mut().frames.pop_front();
        let Some((pieces, token)) = next else {
            return false;
        };
        let mut frame = Vec::new();
        for piece in &pieces {
            let mut bytes = vec![0; piece.length as usize];
            world.dma(FUNCTION, piece.address, Dma::Read(&mut bytes));
            frame.extend_from_slice(&bytes);
        }
        world.note_device("sends bytes", frame.len() as u64);
        world.count("frames sent to the wire");
        let to = frame.first_chunk().map(|bytes| Mac::new(*bytes));
        if to.is_some_and(Mac::is_link_control) {
            world.fail(crate::failure::Failure::Claim {
                actor: "the wire".to_owned(),
                claim: format!("a frame that controls the link: {:02x?}", &frame[..14]),
            });
        }
        let mut heard = groups::ALL.into_iter().chain([WIRE]);
        if heard.any(|party| frame.get(..6) == Some(&network::mac(party).bytes()))
            && let Err(claim) = self.network.arrived(WIRE, &frame)
        {
            world.fail(crate::failure::Failure::Claim {
                actor: "the wire".to_owned(),
                claim,
            });
        }
        self.queues.borrow_mut().left.push(token);
        true
    }

    /// Says that a frame left: any of those that did.
    fn report(&self, world: &World) -> bool {
        let wanted = {
            let mut queues = self.queues.borrow_mut();
            if queues.left.is_empty() {
                return false;
            }
            let n = world.dice.below(queues.left.len() as u64) as usize;
            let token = queues.left.swap_remove(n);
            queues.reported.push_back(token);
            queues.interest.transmit
        };
        self.raise(world, wanted);
        true
    }

    /// Says what isn't so: of buffers that it does not hold.
    fn lie(&self, world: &World) -> bool {
        if !self.lies.get() || !world.dice.one_in(8) {
            return false;
        }
        let dice = &world.dice;
        let mut queues = self.queues.borrow_mut();
        let token = match dice.below(3) {
            0 => dice.word() as u16,
            _ => dice.below(self.information().receive_capacity.into()) as u16,
        };
        let lie = match dice.below(3) {
            0 => Lie::Receive(token, dice.word() as u32),
            1 => Lie::Transmit(token),
            _ => Lie::Fault,
        };
        if queues.lies.len() < 4 {
            queues.lies.push_back(lie);
        }
        true
    }
}

impl Device for Card {
    fn act(&self, world: &World) -> bool {
        if !world.processor.machine().pci.is_master(FUNCTION) {
            return false;
        }
        if world.dice.one_in(200) {
            // An interrupt that nothing stands behind.
            self.raise(world, true);
        }
        match world.dice.below(8) {
            0 | 1 => self.hear(world) || self.fill(world),
            2 | 3 => self.fill(world) || self.send(world),
            4 | 5 => self.send(world) || self.report(world),
            6 => self.report(world) || self.fill(world),
            _ => self.lie(world) || self.report(world) || self.hear(world),
        }
    }

    fn held(&self, frame: Frame) -> Option<Held> {
        self.queues.borrow().held(frame)
    }

    fn has_work(&self, world: &World) -> bool {
        let queues = self.queues.borrow();
        let held = !queues.frames.is_empty() || !queues.left.is_empty();
        let comes = !queues.incoming.is_empty() && !queues.buffers.is_empty();
        world.processor.machine().pci.is_master(FUNCTION) && (held || comes || self.talks.get())
    }
}
