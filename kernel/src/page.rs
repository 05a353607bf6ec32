//! Methods of a `Page`.

use abi::PAGE_SIZE;
use abi::cap::{Kind, Rights};
use abi::method::page as method;

use crate::Kernel;
use crate::error::{INVALID, METHOD, PERMISSION, Result};
use crate::frame::Words;
use crate::invoke::{Answer, Invocation};
use crate::machine::Machine;

impl<M: Machine> Kernel<'_, M> {
    #[inline(never)]
    pub(crate) fn invoke_page(&self, call: &Invocation) -> Result<Answer> {
        let row = self.object_of(&call.capability, Kind::Page)?;
        let words: &Words = self.view(row.frame.get());
        let [method, offset, count, values @ ..] = call.words();
        match method {
            method::UNMAP => {
                if call.capability.rights() != Rights::FULL {
                    return Err(PERMISSION);
                }
                if let Some((home, table)) = self.home(row) {
                    self.clear_entry(home.holder, table, home.index as usize);
                }
                Ok(Answer::NOTHING)
            }
            method::READ => {
                call.capability.needs(Rights::READ)?;
                let first = word_index(offset, 6)?;
                let mut read = [0; 6];
                for (n, word) in read.iter_mut().enumerate() {
                    *word = words.get(first + n);
                }
                Ok(Answer::words(read))
            }
            method::WRITE => {
                call.capability.needs(Rights::WRITE)?;
                if !(1..=values.len() as u64).contains(&count) {
                    return Err(INVALID);
                }
                let first = word_index(offset, count as usize)?;
                for (n, value) in values.into_iter().take(count as usize).enumerate() {
                    words.set(first + n, value);
                }
                Ok(Answer::NOTHING)
            }
            _ => Err(METHOD),
        }
    }
}

/// The index of the word at a byte offset, from which `count` words lie in the page.
fn word_index(offset: u64, count: usize) -> Result<usize> {
    let fits = offset.is_multiple_of(8) && offset <= (PAGE_SIZE - count * 8) as u64;
    if fits {
        Ok(offset as usize / 8)
    } else {
        Err(INVALID)
    }
}
