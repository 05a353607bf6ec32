//! The protocol of space banks: methods, rights, and typed clients.
//!
//! A bank capability is a `Start` to spacebank whose badge is `serial << 8 | rights`. Serial numbers
//! are never reused; a badge whose bank is gone answers `VOID`, like any void capability. Notation as
//! in [`abi::method`].

use abi::cap::{CapAddr, Kind};

use crate::object::{CapTable, Notify, Table};
use crate::{Cap, Error, Message, Sys};

bitflags::bitflags! {
    /// Rights of a bank capability, in the low byte of its badge.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct BankRights: u8 {
        /// Buy objects; make sub-banks.
        const BUY = 1;
        /// Sell objects back; needs a full-strength capability to the object.
        const SELL = 2;
        /// Destroy the bank.
        const DESTROY = 4;
        /// Remove the bank, giving its storage to the parent. Refused on an opaque bank.
        const REMOVE = 8;
        /// List what a transparent bank itself sold. Refused on an opaque bank.
        const INSPECT = 16;
        /// Change the limit. Not needed to make sub-banks: whoever may buy may divide what he may
        /// buy, and must not be able to raise his own limit for it.
        const LIMIT = 32;
    }
}

/// Methods of a bank capability.
pub mod method {
    /// `w1` kind, `w2` count (1 to 64), `w3` first slot or place, `w4` rights of the mappings; `c0`
    /// destination: a `CapTable` (`MANAGE`: slots get capabilities with all rights; refused with
    /// `EACCES` on an opaque bank), or a table one level above the kind, `MANAGE` (empty places get
    /// mappings). All or nothing. Needs `BUY`. `EDQUOT`: the limit, or an ancestor's; `w0` → which
    /// level refused (0 this bank, 1 its parent, …). `ENOMEM`: nothing is left. `EEXIST`: a place is
    /// in use. `EBADF`: the destination is void or of another kind.
    pub const BUY: u64 = 1;
    /// `c0` a full-strength capability to an object that this bank sold: it is rescinded. Needs
    /// `SELL`. `ERANGE`: another bank sold it. `EACCES`: not full-strength. `EBADF`: void, or not
    /// storage.
    pub const SELL: u64 = 2;
    /// `w1` limit in objects, `w2` 1 for opaque → `c0` a capability with all rights to the new bank,
    /// `w0` its id. Its record costs this bank one object. A child of an opaque bank is opaque. Needs
    /// `BUY`. `EDQUOT`, `ENOMEM`: as in `BUY`. `EMLINK`: 64 banks deep already.
    pub const SUB_BANK: u64 = 3;
    /// → `w0` limit, `w1` bought (with descendants), `w2` in limbo (with descendants), `w3`
    /// high-water, `w4` child banks, `w5` id.
    pub const USAGE: u64 = 4;
    /// `w1` kind → `w0` objects of this kind that the bank itself holds; records of its child banks
    /// are not among its pages.
    pub const USAGE_OF_KIND: u64 = 5;
    /// `w1` rights → `c0` a capability with these and no more. `EPERM`: rights that the invoked
    /// capability lacks.
    pub const RESTRICT: u64 = 6;
    /// Destroys the bank, its descendants and everything they sold. `c0` optional `Notify`:
    /// signalled when all is void; then the call answers success at once, without a step. Otherwise
    /// it answers `MORE` after each step until all is void; invoking again goes on, and `VOID` then
    /// says that somebody else finished it. What nobody drives, spacebank finishes by itself. Needs
    /// `DESTROY`. From the first step on every other method but `USAGE` answers `VOID` on the bank
    /// and its descendants. `EPERM`: the prime bank. `EMFILE`: no room for the `Notify`, `EAGAIN`: as many
    /// wait already for this bank, or for an ancestor and its descendants, as may (in both cases
    /// nothing was done).
    pub const DESTROY: u64 = 7;
    /// Ends the bank and gives its storage and children to its parent. Needs `REMOVE`. `EPERM` on an
    /// opaque bank, and on the prime bank. `MORE`, with the meaning that it has in `DESTROY`. From
    /// the first step on every other method but `USAGE` and `DESTROY` answers `VOID` on the bank; its
    /// descendants don't notice.
    pub const REMOVE: u64 = 8;
    /// `w1` cursor (0 to begin), → `w0` next cursor (0 at the end), `w1` kind; `c0` a capability with
    /// all rights to one object that this bank itself sold. Needs `INSPECT`. `EPERM` on an opaque
    /// bank. `ENOENT`: it holds nothing. `ESTALE`: what the cursor stood at was sold back; begin
    /// again. Records of banks, and what the kernel made before spacebank ran, are not shown.
    pub const INSPECT: u64 = 9;
    /// `w1` new limit. Needs `LIMIT`. Lower than what is bought is allowed: nothing can be bought
    /// until enough is sold. `EPERM`: the prime bank.
    pub const SET_LIMIT: u64 = 10;

    /// On the verifier: `c0` a capability → `w0` 1 if it is a genuine bank, `w1` 1 if opaque, `w2` id;
    /// zeros for anything else, and for a bank that is being destroyed or removed.
    pub const VERIFY: u64 = 1;
}

/// A space bank.
pub enum Bank {}

/// Tells genuine banks from others.
pub enum Verifier {}

/// Totals of a bank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Most objects that it and its descendants may hold.
    pub limit: u64,
    /// Objects that it and its descendants hold, live, records of banks among them.
    pub bought: u64,
    /// Objects in limbo that it and its descendants are charged for: their own, and those of
    /// destroyed descendants.
    pub limbo: u64,
    /// Most that bought + limbo ever was.
    pub high_water: u64,
    /// Child banks.
    pub children: u64,
    /// Its id, never reused.
    pub id: u64,
}

/// What the verifier says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// It is a bank of the one spacebank, and alive.
    pub genuine: bool,
    /// Its owner can't obtain capabilities to what it sells.
    pub opaque: bool,
    /// Its id.
    pub id: u64,
}

impl Cap<Bank> {
    fn buy(self, sys: &impl Sys, words: [u64; 4], into: CapAddr) -> Result<(), Error> {
        let [kind, count, first, rights] = words;
        let message = Message::new(&[method::BUY, kind, count, first, rights]).with_caps(&[into]);
        sys.call(self.address(), &message).ok().map(|_| ())
    }

    /// Buys objects as capabilities with all rights.
    pub fn buy_caps(
        self,
        sys: &impl Sys,
        kind: Kind,
        count: u64,
        table: Cap<CapTable>,
        slot: u16,
    ) -> Result<(), Error> {
        self.buy(sys, [kind as u64, count, slot as u64, 0], table.address())
    }

    /// Buys objects straight into places of a table.
    pub fn buy_places(
        self,
        sys: &impl Sys,
        kind: Kind,
        count: u64,
        table: Cap<Table>,
        index: u64,
        rights: abi::cap::Rights,
    ) -> Result<(), Error> {
        self.buy(
            sys,
            [kind as u64, count, index, rights.bits() as u64],
            table.address(),
        )
    }

    /// Sells an object back.
    pub fn sell(self, sys: &impl Sys, object: CapAddr) -> Result<(), Error> {
        let message = Message::new(&[method::SELL]).with_caps(&[object]);
        sys.call(self.address(), &message).ok().map(|_| ())
    }

    /// Makes a child; answers its id.
    pub fn sub_bank(
        self,
        sys: &impl Sys,
        limit: u64,
        opaque: bool,
        into: Cap<Bank>,
    ) -> Result<u64, Error> {
        let message =
            Message::new(&[method::SUB_BANK, limit, opaque as u64]).receiving(&[into.address()]);
        sys.call(self.address(), &message)
            .ok()
            .map(|words| words[0])
    }

    /// Totals. Works while the bank is being destroyed, too.
    pub fn usage(self, sys: &impl Sys) -> Result<Usage, Error> {
        let [limit, bought, limbo, high_water, children, id] = sys
            .call(self.address(), &Message::new(&[method::USAGE]))
            .ok()?;
        Ok(Usage {
            limit,
            bought,
            limbo,
            high_water,
            children,
            id,
        })
    }

    /// Objects of one kind that the bank itself holds.
    pub fn usage_of_kind(self, sys: &impl Sys, kind: Kind) -> Result<u64, Error> {
        let message = Message::new(&[method::USAGE_OF_KIND, kind as u64]);
        sys.call(self.address(), &message)
            .ok()
            .map(|words| words[0])
    }

    /// A weaker capability to the same bank.
    pub fn restrict(
        self,
        sys: &impl Sys,
        rights: BankRights,
        into: Cap<Bank>,
    ) -> Result<(), Error> {
        let message =
            Message::new(&[method::RESTRICT, rights.bits() as u64]).receiving(&[into.address()]);
        sys.call(self.address(), &message).ok().map(|_| ())
    }

    /// Invokes an ending method until it is done. `VOID` is success after `MORE`: somebody else, or
    /// spacebank itself, took the last step.
    fn end(self, sys: &impl Sys, method: u64) -> Result<(), Error> {
        let step = || sys.call(self.address(), &Message::new(&[method])).more();
        let (mut more, _) = step()?;
        while more {
            more = match step() {
                Err(Error::VOID) => false,
                answer => answer?.0,
            };
        }
        Ok(())
    }

    /// Destroys the bank; returns when everything it sold is void.
    pub fn destroy(self, sys: &impl Sys) -> Result<(), Error> {
        self.end(sys, method::DESTROY)
    }

    /// Begins to destroy the bank and returns at once; `done` is signalled when everything is void.
    /// For callers that live inside it.
    pub fn destroy_and_notify(self, sys: &impl Sys, done: Cap<Notify>) -> Result<(), Error> {
        let message = Message::new(&[method::DESTROY]).with_caps(&[done.address()]);
        sys.call(self.address(), &message).more().map(|_| ())
    }

    /// Gives everything to the parent.
    pub fn remove(self, sys: &impl Sys) -> Result<(), Error> {
        self.end(sys, method::REMOVE)
    }

    /// Takes one step through what the bank sold: the next cursor (0 at the end) and the kind.
    pub fn inspect(self, sys: &impl Sys, cursor: u64, into: CapAddr) -> Result<(u64, u8), Error> {
        let message = Message::new(&[method::INSPECT, cursor]).receiving(&[into]);
        sys.call(self.address(), &message)
            .ok()
            .map(|words| (words[0], words[1] as u8))
    }

    /// Changes the limit.
    pub fn set_limit(self, sys: &impl Sys, limit: u64) -> Result<(), Error> {
        let message = Message::new(&[method::SET_LIMIT, limit]);
        sys.call(self.address(), &message).ok().map(|_| ())
    }
}

impl Cap<Verifier> {
    /// Whether a capability is a genuine bank's, and of what sort.
    pub fn verify(self, sys: &impl Sys, bank: CapAddr) -> Result<Verdict, Error> {
        let message = Message::new(&[method::VERIFY]).with_caps(&[bank]);
        let words = sys.call(self.address(), &message).ok()?;
        Ok(Verdict {
            genuine: words[0] == 1,
            opaque: words[1] == 1,
            id: words[2],
        })
    }
}
