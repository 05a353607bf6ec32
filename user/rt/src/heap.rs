//! The heap: pages bought from the program's bank when they are needed, never given back.
//!
//! When the bank refuses, the allocation fails: `try_reserve` and its like answer an error, what
//! can't fail panics with the size that was wanted. A program that allocates nothing buys nothing.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

use abi::boot::layout::{HEAP, HEAP_END};
use abi::boot::slot;
use abi::cap::{Kind, Rights};
use abi::{PAGE_SIZE, SEGMENT_SIZE};
use linked_list_allocator::Heap;
use sys::bank::Bank;
use sys::object::{CapTable, Table};
use sys::{Cap, Error};

use crate::invoke::Kernel;
use crate::single::Single;
use crate::slots::HEAP_SEGMENT;

/// Pages bought at a time, when the bank has them.
const CHUNK: usize = 16;
/// Most pages that a bank sells at once.
const BUY: usize = 64;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator(Single::new(Store {
    heap: Heap::empty(),
    end: HEAP as usize,
    tables_end: HEAP as usize,
}));

struct Allocator(Single<Store>);

struct Store {
    heap: Heap,
    /// End of the pages bought.
    end: usize,
    /// End of the segments bought.
    tables_end: usize,
}

impl Store {
    fn allocate(&mut self, layout: Layout) -> *mut u8 {
        if let Ok(place) = self.heap.allocate_first_fit(layout) {
            return place.as_ptr();
        }
        // Room for the alignment, and for the allocator's own words.
        let Some(bytes) = layout
            .size()
            .checked_add(layout.align() + 4 * size_of::<usize>())
        else {
            return ptr::null_mut();
        };
        let needed = bytes.div_ceil(PAGE_SIZE);
        if needed > (HEAP_END as usize - self.end) / PAGE_SIZE {
            return ptr::null_mut();
        }
        let wanted = needed.max(CHUNK);
        let mut grown = self.grow(wanted);
        if grown.is_err() && wanted > needed {
            // Perhaps what is needed now still fits.
            grown = self.grow(needed);
        }
        if grown.is_err() {
            return ptr::null_mut();
        }
        self.heap
            .allocate_first_fit(layout)
            .map_or(ptr::null_mut(), |place| place.as_ptr())
    }

    /// Buys pages at the end of the heap. What was bought before an error is kept.
    fn grow(&mut self, pages: usize) -> Result<(), Error> {
        let bank: Cap<Bank> = Cap::at(slot::BANK);
        let segment: Cap<Table> = Cap::at(HEAP_SEGMENT);
        let mut left = pages.min((HEAP_END as usize - self.end) / PAGE_SIZE);
        while left > 0 {
            if self.end == self.tables_end {
                self.add_segment(bank, segment)?;
            }
            let index = self.end % SEGMENT_SIZE / PAGE_SIZE;
            let count = left.min(BUY).min((self.tables_end - self.end) / PAGE_SIZE);
            let rights = Rights::READ | Rights::WRITE;
            bank.buy_places(
                &Kernel,
                Kind::Page,
                count as u64,
                segment,
                index as u64,
                rights,
            )?;
            self.add_pages(count);
            left -= count;
        }
        Ok(())
    }

    fn add_segment(&mut self, bank: Cap<Bank>, segment: Cap<Table>) -> Result<(), Error> {
        let root: Cap<CapTable> = Cap::at(slot::ROOT);
        root.clear(&Kernel, HEAP_SEGMENT, 1)?;
        bank.buy_caps(&Kernel, Kind::Table1, 1, root, HEAP_SEGMENT)?;
        let space: Cap<Table> = Cap::at(slot::SPACE);
        let index = (self.tables_end / SEGMENT_SIZE) as u64;
        if let Err(error) = space.map(&Kernel, index, segment, Rights::READ | Rights::WRITE) {
            let _ = bank.sell(&Kernel, HEAP_SEGMENT);
            return Err(error);
        }
        self.tables_end += SEGMENT_SIZE;
        Ok(())
    }

    /// Takes pages that were just mapped at the end into the heap.
    fn add_pages(&mut self, count: usize) {
        let bytes = count * PAGE_SIZE;
        if self.end == HEAP as usize {
            let start = ptr::with_exposed_provenance_mut(self.end);
            // SAFETY: these pages were just bought and mapped here, readable and writable; this
            // part of the address space is the heap's alone, for the life of the program.
            unsafe { self.heap.init(start, bytes) };
        } else {
            // SAFETY: as above; they follow those that the heap has.
            unsafe { self.heap.extend(bytes) };
        }
        self.end += bytes;
    }
}

// SAFETY: blocks come from `Heap`, which keeps to the contract of allocators; an allocation inside
// an allocation, which can't happen, fails instead of aliasing.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0
            .get()
            .map_or(ptr::null_mut(), |mut store| store.allocate(layout))
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let (Some(mut store), Some(block)) = (self.0.get(), ptr::NonNull::new(block)) {
            // SAFETY: the caller's: `block` came from `alloc` with this layout.
            unsafe { store.heap.deallocate(block, layout) };
        }
    }
}
