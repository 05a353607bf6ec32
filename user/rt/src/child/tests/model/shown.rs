//! A segment of the model in the builder's window: written, and nothing else.

use abi::PAGE_SIZE;
use abi::cap::Rights;
use sys::object::Table;
use sys::{Cap, Error, Fault, Mem};

use super::super::super::Window;
use super::{Model, Object, Thing};

/// A segment of the model, as its window shows it: writable where its entries are.
pub struct Shown<'a> {
    model: &'a Model,
    segment: usize,
}

impl<'a> Window for &'a Model {
    type Memory = Shown<'a>;

    fn show(&mut self, segment: Cap<Table>) -> Result<Shown<'a>, Error> {
        assert_eq!(self.shown.get(), None, "one segment at a time");
        let Thing::Object(segment) = self.held(segment.address()) else {
            panic!()
        };
        self.shown.set(Some(segment));
        Ok(Shown {
            model: self,
            segment,
        })
    }

    fn hide(&mut self) -> Result<(), Error> {
        self.shown.set(None);
        Ok(())
    }
}

impl Mem for Shown<'_> {
    fn len(&self) -> usize {
        abi::SEGMENT_SIZE
    }

    fn write(&self, offset: usize, from: &[u8]) -> Result<(), Fault> {
        assert_eq!(
            self.model.shown.get(),
            Some(self.segment),
            "no longer shown"
        );
        let mut objects = self.model.objects.borrow_mut();
        for (n, byte) in from.iter().enumerate() {
            let place = offset + n;
            let Object::Table(1, entries) = &objects[self.segment] else {
                unreachable!()
            };
            let (page, rights) = entries[&((place / PAGE_SIZE) as u64)];
            assert!(rights.contains(Rights::WRITE), "not writable");
            let Object::Page(bytes) = &mut objects[page] else {
                unreachable!()
            };
            bytes[place % PAGE_SIZE] = *byte;
        }
        Ok(())
    }

    fn read(&self, _: usize, _: &mut [u8]) -> Result<(), Fault> {
        unreachable!("a builder reads nothing back")
    }

    fn load_u16(&self, _: usize) -> Result<u16, Fault> {
        unreachable!()
    }

    fn load_u32(&self, _: usize) -> Result<u32, Fault> {
        unreachable!()
    }

    fn load_u64(&self, _: usize) -> Result<u64, Fault> {
        unreachable!()
    }

    fn store_u16(&self, _: usize, _: u16) -> Result<(), Fault> {
        unreachable!()
    }

    fn store_u32(&self, _: usize, _: u32) -> Result<(), Fault> {
        unreachable!()
    }

    fn store_u64(&self, _: usize, _: u64) -> Result<(), Fault> {
        unreachable!()
    }

    fn acquire_u16(&self, _: usize) -> Result<u16, Fault> {
        unreachable!()
    }

    fn acquire_u32(&self, _: usize) -> Result<u32, Fault> {
        unreachable!()
    }

    fn release_u16(&self, _: usize, _: u16) -> Result<(), Fault> {
        unreachable!()
    }

    fn release_u32(&self, _: usize, _: u32) -> Result<(), Fault> {
        unreachable!()
    }

    fn fence(&self) {}
}
