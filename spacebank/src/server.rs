//! The server: which request goes where, and what every method checks first.

use abi::cap::{CapAddr, Kind};
use abi::error::{self, Status};
use abi::invoke::WORDS;
use sys::bank::{BankRights, method};
use sys::{Error, Mem, Message, Request, Sys};

use crate::entry::{Entry, MAX_OBJECTS};
use crate::kernel::{ANSWER, ARGUMENT, Kernel};
use crate::ledger::Ledger;
use crate::objects::Objects;
use crate::owner::{Owner, Serial};
use crate::reaper::Reaper;
use crate::record::Records;
use crate::refusal::Refusal;
use crate::serve::{LIMBO_BIT, Pace};
use crate::waiters::Waiters;

/// The bank server. `R` holds the banks' records, `M` is the page that batches lie in.
pub struct Server<'a, R, M> {
    pub(crate) ledger: Ledger<'a, R>,
    pub(crate) reaper: Reaper,
    pub(crate) waiters: Waiters,
    pub(crate) pace: Pace,
    batch: M,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: Status,
    /// Words.
    pub words: [u64; WORDS],
    /// Where the capability lies that goes with it; 0 for none.
    pub capability: CapAddr,
}

impl Answer {
    pub(crate) fn words(words: &[u64]) -> Answer {
        let mut answer = Answer::default();
        for (to, from) in answer.words.iter_mut().zip(words) {
            *to = *from;
        }
        answer
    }

    pub(crate) fn with_capability(mut self) -> Answer {
        self.capability = ANSWER;
        self
    }

    /// Success, or more to do.
    pub(crate) fn step(finished: bool) -> Answer {
        let status = if finished { error::OK } else { error::MORE };
        Answer {
            status,
            ..Answer::default()
        }
    }

    /// As a message that also says where the next request's capability goes.
    pub fn message(&self) -> Message {
        Message {
            words: self.words,
            caps: [self.capability, 0, 0, 0],
            receive: [ARGUMENT, 0, 0, 0],
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        let mut answer = Answer {
            status: refusal.status(),
            ..Answer::default()
        };
        if let Refusal::Quota { level } = refusal {
            answer.words[0] = level as u64;
        }
        answer
    }
}

/// Why the server can't start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// More objects than [`MAX_OBJECTS`], or more sold than there are.
    Objects,
    /// The kernel says that an object which it sold is not live.
    NotSold {
        /// The object.
        oid: u32,
    },
    /// The kernel refused an invocation.
    Kernel(Error),
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            StartError::Objects => {
                write!(f, "the boot page counts more objects than can be managed")
            }
            StartError::NotSold { oid } => {
                write!(f, "object {oid} is not sold, but the boot page says so")
            }
            StartError::Kernel(error) => write!(f, "the kernel refused: {error}"),
        }
    }
}

impl core::error::Error for StartError {}

impl From<Error> for StartError {
    fn from(error: Error) -> StartError {
        StartError::Kernel(error)
    }
}

impl<'a, R: Records, M: Mem> Server<'a, R, M> {
    /// A server over all objects, of which the first `sold` belong to the prime bank already.
    ///
    /// Of the entries only [`Entry::worn`]'s number counts; memory of zeros is fine.
    pub fn start(
        sys: &impl Sys,
        entries: &'a mut [Entry],
        sold: u32,
        records: R,
        batch: M,
    ) -> Result<Server<'a, R, M>, StartError> {
        if entries.len() > MAX_OBJECTS || sold as usize > entries.len() {
            return Err(StartError::Objects);
        }
        let kernel = Kernel { sys, batch: &batch };
        let mut ledger = Ledger::new(Objects::new(entries), records);
        for oid in 0..sold {
            let (Some(kind), 1) = kernel.query(oid)? else {
                return Err(StartError::NotSold { oid });
            };
            ledger.sold(Owner::PRIME, kind, &[oid]);
            ledger.objects.entry_mut(oid).set_genesis();
        }
        ledger.charge(Owner::PRIME, sold.into());
        kernel.notify_of_limbo(LIMBO_BIT)?;
        Ok(Server {
            ledger,
            reaper: Reaper::default(),
            waiters: Waiters::default(),
            pace: Pace::default(),
            batch,
        })
    }

    pub(crate) fn kernel<'k, S>(&'k self, sys: &'k S) -> Kernel<'k, S, M> {
        Kernel {
            sys,
            batch: &self.batch,
        }
    }

    /// Serves one request, whose first capability (if any) lies in [`ARGUMENT`]. Bounded; runs
    /// nobody else's code.
    pub fn handle(&mut self, sys: &impl Sys, request: &Request) -> Answer {
        let (serial, rights) = Serial::from_badge(request.badge);
        let answer = if serial == Serial::VERIFIER {
            self.verify(request)
        } else {
            self.invoke(sys, serial, rights, request)
        };
        answer.unwrap_or_else(Answer::from)
    }

    fn invoke(
        &mut self,
        sys: &impl Sys,
        serial: Serial,
        rights: BankRights,
        request: &Request,
    ) -> Result<Answer, Refusal> {
        let bank = self.ledger.find(serial).ok_or(Refusal::Void)?;
        let needed = match request.words[0] {
            method::USAGE => return Ok(self.usage(bank)),
            method::DESTROY => {
                require(rights, BankRights::DESTROY)?;
                return self.destroy(sys, bank, request);
            }
            method::REMOVE => {
                require(rights, BankRights::REMOVE)?;
                return self.remove(sys, bank);
            }
            method::BUY | method::SUB_BANK => BankRights::BUY,
            method::SELL => BankRights::SELL,
            method::USAGE_OF_KIND | method::RESTRICT => BankRights::empty(),
            method::INSPECT => BankRights::INSPECT,
            method::SET_LIMIT => BankRights::LIMIT,
            _ => return Err(Refusal::Method),
        };
        if !self.ledger.serves(bank) {
            return Err(Refusal::Void);
        }
        require(rights, needed)?;
        match request.words[0] {
            method::BUY => self.buy(sys, bank, request),
            method::SUB_BANK => self.sub_bank(sys, bank, request),
            method::SELL => self.sell(sys, bank, request),
            method::USAGE_OF_KIND => self.usage_of_kind(bank, request),
            method::RESTRICT => self.restrict(sys, serial, rights, request),
            method::INSPECT => self.inspect(sys, bank, request),
            _ => self.set_limit(bank, request),
        }
    }
}

fn require(rights: BankRights, needed: BankRights) -> Result<(), Refusal> {
    if rights.contains(needed) {
        Ok(())
    } else {
        Err(Refusal::Right)
    }
}

/// Whether a capability came with the request and lies in [`ARGUMENT`]. A bank's own `Start` comes as
/// its badge and is not stored.
pub(crate) fn has_argument(request: &Request) -> bool {
    request.received & 0x11 == 1
}

/// The storage kind that a word names.
pub(crate) fn kind_of(word: u64) -> Result<Kind, Refusal> {
    u8::try_from(word)
        .ok()
        .and_then(Kind::from_u8)
        .filter(|kind| kind.is_storage())
        .ok_or(Refusal::Argument)
}
