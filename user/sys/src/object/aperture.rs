//! Apertures: DMA into pinned frames.

use abi::method::aperture as method;

use super::{CapTable, Notify, Page, Table};
use crate::{Cap, Error, Message, Sys};

/// 512 slots through which one device function does DMA.
pub enum Aperture {}

impl Cap<Aperture> {
    /// Gives it a window.
    pub fn set_window(self, sys: &impl Sys, window: Cap<Table>) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::SET_WINDOW]).with_caps(&[window.address()]),
        )
    }

    /// Pins the frame at a place into a slot; answers its DMA address.
    pub fn pin(
        self,
        sys: &impl Sys,
        slot: u16,
        segment: Cap<Table>,
        index: u16,
        direction: u8,
    ) -> Result<u64, Error> {
        let words = self.invoke(
            sys,
            &Message::new(&[method::PIN, slot as u64, index as u64, direction as u64])
                .with_caps(&[segment.address()]),
        )?;
        Ok(words[0])
    }

    /// Ends a pin.
    pub fn unpin(self, sys: &impl Sys, slot: u16) -> Result<(), Error> {
        self.perform(sys, &Message::new(&[method::UNPIN, slot as u64]))
    }

    /// Pins a batch; answers how many were pinned.
    pub fn pin_batch(
        self,
        sys: &impl Sys,
        batch: Cap<Page>,
        segment: Cap<Table>,
        offset: u64,
        count: u64,
    ) -> Result<u64, Error> {
        let words = self.invoke(
            sys,
            &Message::new(&[method::PIN_BATCH, offset, count])
                .with_caps(&[batch.address(), segment.address()]),
        )?;
        Ok(words[0])
    }

    /// Unpins a batch; answers how many were unpinned.
    pub fn unpin_batch(
        self,
        sys: &impl Sys,
        batch: Cap<Page>,
        offset: u64,
        count: u64,
    ) -> Result<u64, Error> {
        let words = self.invoke(
            sys,
            &Message::new(&[method::UNPIN_BATCH, offset, count]).with_caps(&[batch.address()]),
        )?;
        Ok(words[0])
    }

    /// Swaps the frames of the pages at two places, each a segment and an index. Pins stay with the
    /// frames.
    pub fn exchange(
        self,
        sys: &impl Sys,
        one: (Cap<Table>, u64),
        other: (Cap<Table>, u64),
    ) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::EXCHANGE, one.1, other.1])
                .with_caps(&[one.0.address(), other.0.address()]),
        )
    }

    /// Exchanges a batch, whose segments lie in up to three tables; answers how many entries were
    /// exchanged.
    pub fn exchange_batch(
        self,
        sys: &impl Sys,
        batch: Cap<Page>,
        tables: &[Cap<CapTable>],
        offset: u64,
        count: u64,
    ) -> Result<u64, Error> {
        let mut caps = [0; 4];
        caps[0] = batch.address();
        for (slot, table) in caps[1..].iter_mut().zip(tables) {
            *slot = table.address();
        }
        let words = self.invoke(
            sys,
            &Message::new(&[method::EXCHANGE_BATCH, offset, count]).with_caps(&caps),
        )?;
        Ok(words[0])
    }

    /// Slots whose owner is gone: count, then five words of packed slots.
    pub fn limbo(self, sys: &impl Sys) -> Result<[u64; 6], Error> {
        self.invoke(sys, &Message::new(&[method::LIMBO]))
    }

    /// Names who is told when a slot's owner goes.
    pub fn set_limbo_notify(self, sys: &impl Sys, notify: Cap<Notify>) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::SET_LIMBO_NOTIFY]).with_caps(&[notify.address()]),
        )
    }

    /// Slots pinned, slots in limbo, function bound to + 1 or 0.
    pub fn info(self, sys: &impl Sys) -> Result<(u64, u64, u64), Error> {
        let words = self.invoke(sys, &Message::new(&[method::INFO]))?;
        Ok((words[0], words[1], words[2]))
    }
}
