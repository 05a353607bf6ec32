//! Page tables.

use abi::cap::Rights;
use abi::method::table as method;

use super::DeviceMemory;
use crate::{Cap, Error, Message, Sys};

/// A page-table page of any level.
pub enum Table {}

impl Cap<Table> {
    /// Maps a page (level 1) or a table one level below.
    pub fn map<T>(
        self,
        sys: &impl Sys,
        index: u64,
        what: Cap<T>,
        rights: Rights,
    ) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::MAP, index, rights.bits() as u64]).with_caps(&[what.address()]),
        )
    }

    /// Clears entries; answers how many were in use.
    pub fn unmap(self, sys: &impl Sys, index: u64, count: u64) -> Result<u64, Error> {
        let words = self.invoke(sys, &Message::new(&[method::UNMAP, index, count]))?;
        Ok(words[0])
    }

    /// Takes rights from an entry.
    pub fn protect(self, sys: &impl Sys, index: u64, rights: Rights) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[method::PROTECT, index, rights.bits() as u64]),
        )
    }

    /// Maps device memory.
    pub fn map_device(
        self,
        sys: &impl Sys,
        index: u64,
        count: u64,
        rights: Rights,
        first: u64,
        memory: Cap<DeviceMemory>,
    ) -> Result<(), Error> {
        self.perform(
            sys,
            &Message::new(&[
                method::MAP_DEVICE,
                index,
                count,
                rights.bits() as u64,
                first,
            ])
            .with_caps(&[memory.address()]),
        )
    }

    /// What an entry holds (0 empty, 1 page, 2 table, 3 device memory), and its rights.
    pub fn query(self, sys: &impl Sys, index: u64) -> Result<(u64, Rights), Error> {
        let words = self.invoke(sys, &Message::new(&[method::QUERY, index]))?;
        Ok((words[0], Rights::from_bits_truncate(words[1] as u8)))
    }
}
