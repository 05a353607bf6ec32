//! Memory, access by access: programs' and the device's.

use abi::PAGE_SIZE;
use abi::cap::Rights;

use super::{Action, Capability, DMA_BASE, Frame, FrameNumber, Kernel, Object, Oid, Pid, What};

impl Kernel {
    pub fn at_access(&mut self, count: u64, action: impl FnOnce(&mut Kernel) + 'static) {
        self.trigger = Some((count, Box::new(action)));
    }

    /// Puts what is to happen aside, for accesses that don't count.
    pub fn take_trigger(&mut self) -> Option<(u64, Action)> {
        self.trigger.take()
    }

    pub fn put_trigger(&mut self, trigger: Option<(u64, Action)>) {
        self.trigger = trigger;
    }

    pub fn has_trigger(&self) -> bool {
        self.trigger.is_some()
    }

    /// An access to shared memory, or a system call of the driver's: something may happen just before it.
    pub fn before_access(&mut self) {
        self.accesses += 1;
        if let Some((left, action)) = self.trigger.take() {
            match left {
                0 => action(self),
                left => self.trigger = Some((left - 1, action)),
            }
        }
    }

    /// Whether a segment is an aperture's window.
    pub fn is_window(&self, segment: Oid) -> bool {
        matches!(
            self.objects[segment],
            Some(Object::Segment {
                window_of: Some(_),
                ..
            })
        )
    }

    /// The frame behind a place of a segment, with the rights that the entry grants.
    pub fn place(&self, segment: Oid, index: u16) -> Option<(FrameNumber, Rights)> {
        match self.objects[segment].as_ref()? {
            Object::Segment {
                window_of: Some(aperture),
                ..
            } => match self.objects[*aperture].as_ref()? {
                Object::Aperture { slots, .. } => slots
                    .get(&index)
                    .map(|pin| (pin.frame, Rights::READ | Rights::WRITE)),
                _ => None,
            },
            Object::Segment { entries, .. } => {
                let (page, rights) = entries.get(&index)?;
                match self.objects[*page].as_ref()? {
                    Object::Page { frame } => Some((*frame, *rights)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What a device reaches at an address: a frame pinned in that direction.
    pub fn dma(&mut self, address: u64, length: usize, write: bool) -> &mut [u8] {
        let offset = (address - DMA_BASE) as usize;
        let (frame, start) = (offset / PAGE_SIZE, offset % PAGE_SIZE);
        assert!(start + length <= PAGE_SIZE, "a piece crosses a page");
        let wanted = if write { 2 } else { 1 };
        let pinned = self.objects.iter().flatten().any(|object| match object {
            Object::Aperture { slots, .. } => slots
                .values()
                .any(|pin| pin.frame == frame && pin.direction & wanted != 0),
            _ => false,
        });
        assert!(
            pinned,
            "pitfall 9: the device reaches a frame that isn't pinned for it"
        );
        &mut self.frames[frame].bytes[start..start + length]
    }

    /// Frames that are pinned and owned by nobody.
    pub fn limbo_frames(&self) -> usize {
        let limbo = |frame: &&Frame| frame.owner.is_none() && frame.pins > 0;
        self.frames.iter().filter(limbo).count()
    }

    pub fn batch(&self, pid: Pid, offset: usize) -> u64 {
        let bytes = &self.batches(pid)[offset..offset + 8];
        u64::from_le_bytes(bytes.try_into().unwrap())
    }

    pub fn set_batch(&mut self, pid: Pid, offset: usize, value: u64) {
        let frame = self.batch_frame(pid);
        self.frames[frame].bytes[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
    }

    pub fn batches(&self, pid: Pid) -> &[u8; PAGE_SIZE] {
        &self.frames[self.batch_frame(pid)].bytes
    }

    /// The message page of a process: put there when the process was made.
    pub fn batch_frame(&self, pid: Pid) -> FrameNumber {
        match self.processes[pid].caps.get(&abi::boot::slot::MESSAGE) {
            Some(Capability {
                what: What::Object(oid),
                ..
            }) => match &self.objects[*oid] {
                Some(Object::Page { frame }) => *frame,
                _ => panic!("no message page"),
            },
            _ => panic!("no message page"),
        }
    }
}
