//! What the device receives into, and copies of what is sent.
//!
//! Each buffer that the device has goes by a token. Behind it is a page of a session's, or the driver's
//! own buffer of that number: half a page of its pool. Either is placed so that the frame in it starts
//! at a multiple of 16. A header copy is 256 bytes of the pool, likewise placed; its token is that of
//! the frame in transmission.

use alloc::vec::Vec;

use abi::PAGE_SIZE;
use dev::Program;
use dev::layout::COPIED;
use dev::pool::Pool;

use crate::frame::Part;
use crate::slots::SlotNumber;
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

/// What a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// The driver's own buffer of the token's number.
    Pool,
    /// The page that this slot pins.
    Page(SlotNumber),
}

/// Some bytes that the device received: all of a frame, or a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The token of the buffer.
    pub token: u16,
    /// The buffer.
    pub buffer: Buffer,
    /// Where in the buffer's window the bytes lie.
    pub part: Part,
}

/// Where the buffers lie, and who has them.
#[derive(Debug)]
pub struct Buffers {
    /// By token: where the device reaches the driver's own buffer.
    receive: Vec<u64>,
    /// By token: what the device has.
    lent: Vec<Option<Buffer>>,
    /// Tokens that stand for nothing.
    idle: Vec<u16>,
    /// Tokens that the device has.
    posted: usize,
    first_receive: usize,
    headroom: u32,
    copies: Vec<u64>,
    first_copy: usize,
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
            .map(|token| address(first_receive + token * RECEIVE))
            .collect::<Result<Vec<_>, PoolTooSmall>>()?;
        let copies = (0..information.transmit_capacity as usize)
            .map(|token| address(first_copy + token * COPY))
            .collect::<Result<Vec<_>, PoolTooSmall>>()?;
        Ok(Buffers {
            lent: receive.iter().map(|_| None).collect(),
            // The last is taken first: begin with the first.
            idle: (0..receive.len() as u16).rev().collect(),
            posted: 0,
            receive,
            first_receive,
            headroom: information.receive_headroom.min(START as u32),
            copies,
            first_copy,
        })
    }

    /// Where in a buffer the device begins to write.
    const fn start(&self) -> usize {
        START - self.headroom as usize
    }

    /// A token that stands for nothing, if there is one. It stays so until it is [lent](Buffers::lend).
    #[inline]
    pub fn idle(&self) -> Option<u16> {
        self.idle.last().copied()
    }

    /// Buffers that the device has.
    #[inline]
    pub const fn posted(&self) -> usize {
        self.posted
    }

    /// The [idle](Buffers::idle) token stands for this buffer now, and the device has it.
    #[inline]
    pub fn lend(&mut self, token: u16, buffer: Buffer) {
        self.idle.pop();
        if let Some(lent) = self.lent.get_mut(token as usize) {
            *lent = Some(buffer);
            self.posted += 1;
        }
    }

    /// The driver's own buffer of a token, to be posted.
    #[inline]
    pub fn pool_piece(&self, token: u16) -> Piece {
        let start = self.start();
        Piece {
            address: self.receive.get(token as usize).copied().unwrap_or(0) + start as u64,
            view: (self.first_receive + token as usize * RECEIVE + start) as u64,
            length: (RECEIVE - start) as u32,
        }
    }

    /// A page, to be posted.
    #[inline]
    pub const fn page_piece(&self, address: u64, view: u64) -> Piece {
        let start = self.start();
        Piece {
            address: address + start as u64,
            view: view + start as u64,
            length: (PAGE_SIZE - start) as u32,
        }
    }

    /// The device gives a buffer back, it says. `None`: it doesn't have that one. The token stands for
    /// the buffer until it is [released](Buffers::release).
    #[inline]
    pub fn take(&mut self, token: u16) -> Option<Buffer> {
        let buffer = self.lent.get_mut(token as usize)?.take()?;
        self.posted -= 1;
        Some(buffer)
    }

    /// A buffer that was [taken](Buffers::take) has been used.
    #[inline]
    pub fn release(&mut self, token: u16) {
        self.idle.push(token);
    }

    /// Where the word at an offset of a buffer's headroom lies: the buffer, and the offset in its window
    /// (in its page, if it is one). `None`: the device doesn't have it, or its headroom is shorter.
    #[inline]
    pub fn headroom(&self, token: u16, offset: u32) -> Option<(Buffer, usize)> {
        let fits = offset
            .checked_add(2)
            .is_some_and(|end| end <= self.headroom);
        let buffer = (*self.lent.get(token as usize)?)?;
        let (start, _) = match buffer {
            Buffer::Pool => self.pool_extent(token),
            Buffer::Page(_) => self.page_extent(),
        };
        fits.then_some((buffer, start + offset as usize))
    }

    /// Where in its window the driver's own buffer of a token begins for the device, and how long it is.
    #[inline]
    pub const fn pool_extent(&self, token: u16) -> (usize, u32) {
        let start = self.start();
        let offset = self.first_receive + token as usize * RECEIVE + start;
        (offset, (RECEIVE - start) as u32)
    }

    /// The same in a page.
    #[inline]
    pub const fn page_extent(&self) -> (usize, u32) {
        let start = self.start();
        (start, (PAGE_SIZE - start) as u32)
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
