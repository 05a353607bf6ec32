//! All storage: for spacebank alone.

use abi::cap::{CapAddr, Rights};
use abi::method::range as method;

use super::{Notify, Page};
use crate::{Cap, Error, Message, Sys};

/// All storage.
pub enum Range {}

impl Cap<Range> {
    /// Sells an object as a capability with all rights.
    pub fn mint(self, sys: &impl Sys, oid: u32, kind: u8, into: CapAddr) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::MINT, oid as u64, kind as u64]).receiving(&[into]),
        )
    }

    /// Sells a batch into places or slots, all or none.
    pub fn mint_into(
        self,
        sys: &impl Sys,
        batch: Cap<Page>,
        destination: CapAddr,
        offset: u64,
        count: u64,
    ) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::MINT_INTO, offset, count])
                .with_caps(&[batch.address(), destination]),
        )
    }

    /// State of an object: kind, state, pins.
    pub fn query(self, sys: &impl Sys, oid: u32) -> Result<(u8, u8, u8), Error> {
        let words = self.invoke(sys, &Message::new(&[method::QUERY, oid as u64]))?;
        Ok((words[0] as u8, words[1] as u8, words[2] as u8))
    }

    /// Objects whose limbo ended: count, then five words of packed numbers.
    pub fn reap(self, sys: &impl Sys) -> Result<[u64; 6], Error> {
        self.invoke(sys, &Message::new(&[method::REAP]))
    }

    /// Object, kind and rights of a capability to storage.
    pub fn identify(self, sys: &impl Sys, capability: CapAddr) -> Result<(u32, u8, Rights), Error> {
        let words = self.invoke(
            sys,
            &Message::new(&[method::IDENTIFY]).with_caps(&[capability]),
        )?;
        Ok((
            words[0] as u32,
            words[1] as u8,
            Rights::from_bits_truncate(words[2] as u8),
        ))
    }

    /// Names who is told when a limbo ends.
    pub fn set_notify(self, sys: &impl Sys, notify: Cap<Notify>) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::SET_NOTIFY]).with_caps(&[notify.address()]),
        )
    }

    /// Rescinds a batch. Answers how many entries were done, and whether it wants to go on.
    pub fn rescind(
        self,
        sys: &impl Sys,
        batch: Cap<Page>,
        offset: u64,
        count: u64,
    ) -> Result<(u64, bool), Error> {
        let message = Message::new(&[method::RESCIND, offset, count]).with_caps(&[batch.address()]);
        let (more, words) = sys.call(self.address(), &message).more()?;
        Ok((words[0], more))
    }
}
