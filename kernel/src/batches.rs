//! Batches: entries in a page that other processes may be writing at the same time.

use abi::cap::{Kind, Rights};
use abi::{PAGE_SIZE, batch};

use crate::Kernel;
use crate::error::{INVALID, Result};
use crate::frame::{Word, Words};
use crate::invoke::Invocation;
use crate::machine::Machine;

/// Entries of a batch, in place, as words. Each word is read once.
pub(crate) type Batch<'k, const WORDS: usize> = &'k [[Word; WORDS]];

impl<M: Machine> Kernel<'_, M> {
    /// The batch of `count` entries at a byte offset of a call's first argument.
    #[inline(always)]
    pub(crate) fn batch<const WORDS: usize>(
        &self,
        call: &Invocation,
        offset: u64,
        count: u64,
    ) -> Result<Batch<'_, WORDS>> {
        let page = call.object(self, 0, Kind::Page, Rights::READ | Rights::WRITE)?;
        let bytes = WORDS as u64 * 8;
        let fits = (1..=batch::LIMIT as u64).contains(&count)
            && offset.is_multiple_of(bytes)
            && offset <= PAGE_SIZE as u64 - count * bytes;
        if !fits {
            return Err(INVALID);
        }
        let words: &Words = self.view(page.row.frame.get());
        let (entries, _) = words.0.as_chunks::<WORDS>();
        let first = (offset / bytes) as usize;
        entries.get(first..first + count as usize).ok_or(INVALID)
    }
}
