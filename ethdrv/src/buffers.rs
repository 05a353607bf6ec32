//! The driver's own buffers: what the device receives into, and copies of what is sent.
//!
//! Both lie in the driver's pool. A receive buffer is half a page, placed so that the frame in it
//! starts at a multiple of 16; its token is its number. A header copy is 256 bytes, likewise placed;
//! its token is that of the frame in transmission.

use alloc::vec::Vec;

use abi::PAGE_SIZE;
use dev::Program;
use dev::layout::COPIED;
use dev::pool::Pool;
use sys::Mem;

use crate::transport::{Information, Piece};

/// Bytes of a receive buffer.
const RECEIVE: usize = PAGE_SIZE / 2;
/// Bytes between header copies.
const COPY: usize = 256;
/// Where frames start in either.
const START: usize = 16;

/// What was asked of the pool and isn't there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolTooSmall;

/// Where the driver's buffers lie.
#[derive(Debug)]
pub struct Buffers {
    /// By token: where the device reaches the buffer, `None` while the buffer isn't the device's.
    receive: Vec<Receive>,
    first_receive: usize,
    headroom: u32,
    copies: Vec<u64>,
    first_copy: usize,
}

#[derive(Clone, Copy, Debug)]
struct Receive {
    address: u64,
    posted: bool,
}

impl Buffers {
    /// How many pages a device with these capacities needs.
    pub const fn pages(information: &Information) -> usize {
        Self::receive_pages(information) + Self::copy_pages(information)
    }

    const fn receive_pages(information: &Information) -> usize {
        (information.receive_capacity as usize).div_ceil(PAGE_SIZE / RECEIVE)
    }

    const fn copy_pages(information: &Information) -> usize {
        (information.transmit_capacity as usize).div_ceil(PAGE_SIZE / COPY)
    }

    /// Lays the buffers out in the pool, from page `first` on.
    ///
    /// # Errors
    /// The pool has too few pages.
    pub fn new<P: Program>(
        pool: &Pool<P>,
        first: usize,
        information: &Information,
    ) -> Result<Buffers, PoolTooSmall> {
        let first_receive = Pool::<P>::offset(first);
        let first_copy = first_receive + Self::receive_pages(information) * PAGE_SIZE;
        let address = |offset: usize| {
            let page = pool.address(offset / PAGE_SIZE).ok_or(PoolTooSmall)?;
            Ok(page + (offset % PAGE_SIZE) as u64)
        };
        let receive = (0..information.receive_capacity as usize)
            .map(|token| {
                Ok(Receive {
                    address: address(first_receive + token * RECEIVE)?,
                    posted: false,
                })
            })
            .collect::<Result<Vec<_>, PoolTooSmall>>()?;
        let copies = (0..information.transmit_capacity as usize)
            .map(|token| address(first_copy + token * COPY))
            .collect::<Result<Vec<_>, PoolTooSmall>>()?;
        Ok(Buffers {
            receive,
            first_receive,
            headroom: information.receive_headroom.min(START as u32),
            copies,
            first_copy,
        })
    }

    /// How many receive buffers there are.
    pub fn receive_len(&self) -> u16 {
        self.receive.len() as u16
    }

    /// The buffer with this token, to be posted. `None`: there is none, or the device has it.
    #[inline]
    pub fn post(&mut self, token: u16) -> Option<Piece> {
        let start = START - self.headroom as usize;
        let buffer = self.receive.get_mut(token as usize)?;
        if core::mem::replace(&mut buffer.posted, true) {
            return None;
        }
        Some(Piece {
            address: buffer.address + start as u64,
            view: (self.first_receive + token as usize * RECEIVE + start) as u64,
            length: (RECEIVE - start) as u32,
        })
    }

    /// The word at an offset of a buffer's headroom.
    #[inline]
    pub fn headroom(&self, pool: &impl Mem, token: u16, offset: u32) -> Option<u16> {
        let fits = offset
            .checked_add(2)
            .is_some_and(|end| end <= self.headroom);
        if token as usize >= self.receive.len() || !fits {
            return None;
        }
        let start = START - self.headroom as usize + offset as usize;
        pool.load_u16(self.first_receive + token as usize * RECEIVE + start)
            .ok()
    }

    /// The device gives a buffer back, it says; answers where it begins in the pool and how long it
    /// is. `None`: the device doesn't have that buffer.
    #[inline]
    pub fn take(&mut self, token: u16) -> Option<(usize, u32)> {
        let buffer = self.receive.get_mut(token as usize)?;
        if !core::mem::take(&mut buffer.posted) {
            return None;
        }
        let start = START - self.headroom as usize;
        let offset = self.first_receive + token as usize * RECEIVE + start;
        Some((offset, (RECEIVE - start) as u32))
    }

    /// Where the copy of a sent frame's first bytes goes, in the pool.
    #[inline]
    pub const fn copy(&self, token: u16) -> usize {
        self.first_copy + token as usize * COPY + START
    }

    /// The same for the device.
    #[inline]
    pub fn copy_piece(&self, token: u16, length: u32) -> Piece {
        let address = self.copies.get(token as usize).copied().unwrap_or(0);
        Piece {
            address: address + START as u64,
            view: self.copy(token) as u64,
            length,
        }
    }
}

const _: () = assert!(START + COPIED <= COPY && START.is_multiple_of(8));
