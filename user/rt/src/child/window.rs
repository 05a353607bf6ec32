//! The window of a program: a place among its shared segments.

use abi::cap::Rights;
use sys::object::Table;
use sys::{Cap, Error};

use super::Window;
use crate::mapping::RevocableMapping;
use crate::shared::{self, Place};

/// Shows segments in the program's own address space. Their bank may be somebody else's: what is
/// written into them may vanish.
#[derive(Debug, Default)]
pub struct OwnWindow(Option<Place>);

impl Window for OwnWindow {
    type Memory = RevocableMapping;

    fn show(&mut self, segment: Cap<Table>) -> Result<RevocableMapping, Error> {
        self.hide()?;
        let place = shared::map(segment, Rights::READ | Rights::WRITE)?;
        Ok(self.0.insert(place).revocable())
    }

    fn hide(&mut self) -> Result<(), Error> {
        self.0.take().map_or(Ok(()), Place::unmap)
    }
}
