//! Apertures: pins, limbo, exchange.

use abi::PAGE_SIZE;
use abi::cap::Rights;
use abi::error::{self, Status, VOID, status};
use abi::method;
use sys::Message;

use super::{DMA_BASE, Kernel, Object, Oid, Pid, Pin, What};

impl Kernel {
    pub fn on_object(
        &mut self,
        pid: Pid,
        oid: Oid,
        rights: Rights,
        message: &Message,
    ) -> Result<[u64; 6], Status> {
        let [method, a, b, ..] = message.words;
        if !matches!(self.objects[oid], Some(Object::Aperture { .. })) {
            return Err(status(error::ENOSYS));
        }
        assert!(rights.contains(Rights::MANAGE));
        match method {
            method::aperture::PIN_BATCH => {
                let segment = self.get(pid, message.caps[1]).ok_or(VOID)?;
                let What::Object(segment_oid) = segment.what else {
                    return Err(status(error::EBADF));
                };
                if !segment.rights.contains(Rights::PIN) {
                    return Err(status(error::EACCES));
                }
                let mut pinned = 0;
                for n in 0..b as usize {
                    let entry = self.batch(pid, a as usize + n * 16);
                    let slot = entry as u16;
                    let direction = (entry >> 32) as u8;
                    let result = self.pin(oid, segment_oid, slot, (entry >> 16) as u16, direction);
                    let status = match result {
                        Ok(address) => {
                            pinned += 1;
                            self.set_batch(pid, a as usize + n * 16 + 8, address);
                            0
                        }
                        Err(status) => status as u64,
                    };
                    let low = entry & 0x0000_ffff_ffff_ffff;
                    self.set_batch(pid, a as usize + n * 16, low | status << 48);
                }
                Ok([pinned, 0, 0, 0, 0, 0])
            }
            method::aperture::UNPIN_BATCH => {
                for n in 0..b as usize {
                    let slot = self.batch(pid, a as usize + n * 8) as u16;
                    self.unpin(oid, slot);
                }
                Ok([b, 0, 0, 0, 0, 0])
            }
            method::aperture::EXCHANGE_BATCH => self.exchange_batch(pid, a as usize, b, message),
            method::aperture::LIMBO => {
                self.limbo_asked += 1;
                let Some(Object::Aperture { limbo, .. }) = &mut self.objects[oid] else {
                    unreachable!()
                };
                let count = limbo.len().min(20);
                let mut words = [count as u64, 0, 0, 0, 0, 0];
                for (n, slot) in limbo.drain(..count).enumerate() {
                    words[1 + n / 4] |= (slot as u64) << (16 * (n % 4));
                }
                Ok(words)
            }
            method::aperture::SET_LIMBO_NOTIFY => {
                let told = self.get(pid, message.caps[0]).ok_or(VOID)?;
                let Some(Object::Aperture { notify, .. }) = &mut self.objects[oid] else {
                    unreachable!()
                };
                *notify = Some(told);
                Ok([0; 6])
            }
            _ => Err(status(error::ENOSYS)),
        }
    }

    pub fn pin(
        &mut self,
        aperture: Oid,
        segment: Oid,
        slot: u16,
        index: u16,
        direction: u8,
    ) -> Result<u64, Status> {
        let (frame, _) = self.place(segment, index).ok_or(status(error::ENOENT))?;
        if self.frames[frame].pins >= 2 {
            return Err(status(error::EBUSY));
        }
        let Some(Object::Aperture { slots, .. }) = &mut self.objects[aperture] else {
            return Err(VOID);
        };
        if slots.contains_key(&slot) {
            return Err(status(error::EEXIST));
        }
        slots.insert(slot, Pin { frame, direction });
        self.frames[frame].pins += 1;
        match direction {
            0 => Ok(0),
            _ => Ok(DMA_BASE + (frame * PAGE_SIZE) as u64),
        }
    }

    pub fn unpin(&mut self, aperture: Oid, slot: u16) {
        let Some(Object::Aperture { slots, limbo, .. }) = &mut self.objects[aperture] else {
            return;
        };
        let pin = slots
            .remove(&slot)
            .expect("unpins a slot that holds no pin");
        limbo.retain(|other| *other != slot);
        let frame = &mut self.frames[pin.frame];
        frame.pins -= 1;
        if frame.pins == 0 && frame.owner.is_none() {
            frame.bytes.fill(0);
        }
    }

    fn exchange_batch(
        &mut self,
        pid: Pid,
        offset: usize,
        count: u64,
        message: &Message,
    ) -> Result<[u64; 6], Status> {
        let mut done = 0;
        for n in 0..count as usize {
            let order = self.batch(pid, offset + n * 16);
            let sides = [0, 1].map(|side| {
                let name = (order >> (16 * side)) as u16;
                (name, (order >> (32 + 16 * side)) as u16)
            });
            let [one, other] = sides.map(|(name, place)| {
                let table = message.caps[1 + name as usize / 128];
                match self.get(pid, table).map(|cap| cap.what) {
                    Some(What::CapTable(table)) => {
                        self.exchangeable(pid, table * 128 + name % 128, place)
                    }
                    _ => Err(VOID),
                }
            });
            let result = match (one, other) {
                (Ok(one), Ok(other)) if one == other => Err(status(error::EINVAL)),
                (Ok(one), Ok(other)) => {
                    self.swap_frames(one, other);
                    Ok(())
                }
                (Err(status), _) | (_, Err(status)) => Err(status),
            };
            done += result.is_ok() as u64;
            let status = result.err().unwrap_or(0);
            self.set_batch(pid, offset + n * 16 + 8, status as u64);
        }
        self.exchanges += done;
        Ok([done, 0, 0, 0, 0, 0])
    }

    /// The page at a place whose frame may be exchanged.
    fn exchangeable(&self, pid: Pid, segment: u16, place: u16) -> Result<Oid, Status> {
        let segment = self.get(pid, segment).ok_or(VOID)?;
        let all = Rights::MANAGE | Rights::READ | Rights::WRITE;
        let What::Object(oid) = segment.what else {
            return Err(status(error::EBADF));
        };
        let Some(Object::Segment {
            entries,
            window_of: None,
        }) = &self.objects[oid]
        else {
            return Err(status(error::EBADF));
        };
        let (page, rights) = *entries.get(&place).ok_or(status(error::ENOENT))?;
        if !segment.rights.contains(all) || !rights.contains(Rights::READ | Rights::WRITE) {
            return Err(status(error::EACCES));
        }
        Ok(page)
    }

    fn swap_frames(&mut self, one: Oid, other: Oid) {
        let frames = [one, other].map(|page| match &self.objects[page] {
            Some(Object::Page { frame }) => *frame,
            _ => panic!("an entry names what is no page"),
        });
        for (page, frame) in [(one, frames[1]), (other, frames[0])] {
            self.objects[page] = Some(Object::Page { frame });
            self.frames[frame].owner = Some(page);
        }
    }
}
