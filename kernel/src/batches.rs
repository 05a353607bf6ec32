//! Batches: entries in a page that other processes may be writing at the same time.

use abi::cap::{Kind, Rights};
use abi::{PAGE_SIZE, batch};

use crate::Kernel;
use crate::cap::Capability;
use crate::error::{INVALID, Result};
use crate::frame::Words;
use crate::machine::Machine;

/// Entries of a batch, in place. Each word is read once.
pub(crate) struct Batch<'k> {
    words: &'k Words,
    first: usize,
    size: usize,
    /// Entries.
    pub count: usize,
}

impl<'k> Batch<'k> {
    /// The page that it lies in.
    pub fn words(&self) -> &'k Words {
        self.words
    }

    /// A word of an entry.
    pub fn get(&self, entry: usize, word: usize) -> u64 {
        self.words.get(self.first + entry * self.size + word)
    }

    /// Replaces a word of an entry.
    pub fn set(&self, entry: usize, word: usize, value: u64) {
        self.words.set(self.first + entry * self.size + word, value);
    }
}

impl<M: Machine> Kernel<'_, M> {
    /// The batch of `count` entries of `size` words at a byte offset of a page.
    pub(crate) fn batch(
        &self,
        page: &Capability,
        offset: u64,
        count: u64,
        size: usize,
    ) -> Result<Batch<'_>> {
        let row = self.object_of(page, Kind::Page)?;
        page.needs(Rights::READ | Rights::WRITE)?;
        let bytes = size as u64 * 8;
        let fits = (1..=batch::LIMIT as u64).contains(&count)
            && offset.is_multiple_of(bytes)
            && offset <= PAGE_SIZE as u64 - count * bytes;
        if !fits {
            return Err(INVALID);
        }
        Ok(Batch {
            words: self.view(row.frame.get()),
            first: (offset / 8) as usize,
            size,
            count: count as usize,
        })
    }
}
