//! What happened last: kept in a ring, and printed when something is found.

use std::collections::VecDeque;
use std::fmt;

use abi::error::{self, Status};

/// Events that are kept.
const KEPT: usize = 400;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A system call: operation, capability, first word.
    Call(u8, u64, u64),
    /// It came back with this status.
    Return(Status),
    /// Memory was read.
    Load(u64),
    /// Memory was written.
    Store(u64),
    /// A page fault.
    Fault(u64),
    /// It lost its turn.
    Preempted,
    /// An interrupt on a vector.
    Interrupt(u8),
    /// The timer fired.
    Tick,
    /// A device did something.
    Device(&'static str, u64),
    /// An actor says what it does.
    Note(String),
    /// An actor began.
    Began,
    /// An actor ended.
    Ended,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Call(op, capability, word) => {
                let op = abi::invoke::Op::from_u8(*op);
                match op {
                    Some(op) => write!(f, "{op:?} {capability} word {word:#x}"),
                    None => write!(f, "no operation, {capability} word {word:#x}"),
                }
            }
            Event::Return(status) => write!(f, "  = {status} ({})", error::explain(*status)),
            Event::Load(address) => write!(f, "reads {address:#x}"),
            Event::Store(address) => write!(f, "writes {address:#x}"),
            Event::Fault(address) => write!(f, "faults at {address:#x}"),
            Event::Preempted => f.write_str("loses its turn"),
            Event::Interrupt(vector) => write!(f, "interrupt {vector}"),
            Event::Tick => f.write_str("timer"),
            Event::Device(what, number) => write!(f, "device {what} {number:#x}"),
            Event::Note(text) => f.write_str(text),
            Event::Began => f.write_str("begins"),
            Event::Ended => f.write_str("ends"),
        }
    }
}

/// An event, when it was, and whose it is.
struct Line {
    step: u64,
    actor: u32,
    event: Event,
}

/// The last events.
pub struct Trace {
    lines: VecDeque<Line>,
    /// Events are printed as they come.
    live: bool,
}

impl Trace {
    /// An empty one.
    pub fn new(live: bool) -> Trace {
        Trace {
            lines: VecDeque::with_capacity(KEPT),
            live,
        }
    }

    /// Notes an event of an actor's.
    pub fn add(&mut self, step: u64, actor: u32, event: Event) {
        if self.live {
            println!("{step:>9} {actor:>4}  {event}");
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(Line { step, actor, event });
    }

    /// The last events, with names.
    pub fn show(&self, name: impl Fn(u32) -> String) -> String {
        let line =
            |line: &Line| format!("{:>9} {:<12} {}", line.step, name(line.actor), line.event);
        let lines: Vec<String> = self.lines.iter().map(line).collect();
        lines.join("\n")
    }
}
