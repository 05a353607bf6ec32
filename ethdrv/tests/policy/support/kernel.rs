//! A kernel and a spacebank, as small as the driver's tests allow: objects and frames, capability
//! slots, segments, apertures with pins and limbo, banks that are destroyed at once, messages.
//!
//! It checks what the real one guarantees: memory that is pinned stays, a frame in limbo is not
//! reused, a page that was taken back is gone for everybody else. It is no model of time or order.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use abi::PAGE_SIZE;
use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{self, Status, VOID, status};
use abi::method;
use sys::bank::method as bank_method;
use sys::{Event, Message, Reply, Request};

/// Where device addresses begin: no offset in a window looks like one.
pub const DMA_BASE: u64 = 0x40_0000_0000;

pub type Pid = usize;
pub type Oid = usize;
pub type FrameNumber = usize;

/// A capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    pub what: What,
    pub rights: Rights,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Object(Oid),
    Root,
    Process,
    Start { pid: Pid, badge: u64 },
    Notify { pid: Pid, bit: u64 },
    Resume(u64),
    Bank { bank: usize, rights: u8 },
    Verifier,
}

#[derive(Debug)]
pub enum Object {
    Page {
        frame: FrameNumber,
    },
    Segment {
        entries: BTreeMap<u16, (Oid, Rights)>,
        /// The aperture whose window it is.
        window_of: Option<Oid>,
    },
    Aperture {
        slots: BTreeMap<u16, Pin>,
        limbo: Vec<u16>,
        notify: Option<Capability>,
    },
}

#[derive(Clone, Copy, Debug)]
pub struct Pin {
    pub frame: FrameNumber,
    pub direction: u8,
}

pub struct Frame {
    pub bytes: Box<[u8; PAGE_SIZE]>,
    pub owner: Option<Oid>,
    pub pins: u32,
}

pub struct Bank {
    pub parent: Option<usize>,
    pub limit: u64,
    pub opaque: bool,
    pub alive: bool,
    pub sold: Vec<Oid>,
    /// With descendants.
    pub bought: u64,
}

#[derive(Default)]
pub struct Process {
    pub caps: BTreeMap<CapAddr, Capability>,
    pub bits: BTreeMap<u64, ()>,
    pub inbox: VecDeque<(Message, u64, Option<u64>, Pid)>,
    pub held: Option<u64>,
    next_slot: CapAddr,
    free_slots: Vec<CapAddr>,
    /// Slots that can still be taken.
    pub slots_left: usize,
    /// Segments mapped.
    pub mapped: usize,
}

pub type Action = Box<dyn FnOnce(&mut Kernel)>;

pub struct Kernel {
    pub objects: Vec<Option<Object>>,
    pub frames: Vec<Frame>,
    pub banks: Vec<Bank>,
    pub processes: Vec<Process>,
    callers: BTreeMap<u64, (Pid, [CapAddr; 4])>,
    replies: BTreeMap<u64, Reply>,
    next_caller: u64,
    /// Signals by process and bit, counted.
    pub signals: BTreeMap<(Pid, u64), u64>,
    pub now: u64,
    pub timer: Option<(u64, u64)>,
    /// What happens at the n-th access to shared memory from now.
    trigger: Option<(u64, Action)>,
    /// Accesses to memory that can be taken back.
    pub accesses: u64,
}

pub type Shared = Rc<RefCell<Kernel>>;

/// The driver, init, and from 2 on clients.
pub const DRIVER: Pid = 0;
pub const INIT: Pid = 1;

impl Kernel {
    pub fn new() -> Kernel {
        let mut kernel = Kernel {
            objects: Vec::new(),
            frames: Vec::new(),
            banks: vec![Bank {
                parent: None,
                limit: u64::MAX,
                opaque: false,
                alive: true,
                sold: Vec::new(),
                bought: 0,
            }],
            processes: Vec::new(),
            callers: BTreeMap::new(),
            replies: BTreeMap::new(),
            next_caller: 1,
            signals: BTreeMap::new(),
            now: 1_000_000_000,
            timer: None,
            trigger: None,
            accesses: 0,
        };
        let driver_bank = kernel.sub_bank(0, 100_000, false).unwrap();
        kernel.add_process(driver_bank);
        kernel.add_process(0);
        kernel
    }

    pub fn add_process(&mut self, bank: usize) -> Pid {
        use abi::boot::slot;
        let mut process = Process {
            next_slot: slot::FREE,
            slots_left: usize::MAX,
            ..Process::default()
        };
        let full = |what| Capability {
            what,
            rights: Rights::all(),
        };
        process.caps.insert(slot::ROOT, full(What::Root));
        process.caps.insert(slot::PROCESS, full(What::Process));
        process
            .caps
            .insert(slot::BANK, full(What::Bank { bank, rights: 0xff }));
        self.processes.push(process);
        self.processes.len() - 1
    }

    // ---- slots

    pub fn take_slot(&mut self, pid: Pid) -> Option<CapAddr> {
        let process = &mut self.processes[pid];
        process.slots_left = process.slots_left.checked_sub(1)?;
        Some(process.free_slots.pop().unwrap_or_else(|| {
            process.next_slot += 1;
            process.next_slot - 1
        }))
    }

    pub fn give_slot(&mut self, pid: Pid, slot: CapAddr) {
        let process = &mut self.processes[pid];
        assert!(slot >= abi::boot::slot::FREE && slot < process.next_slot);
        assert!(
            !process.free_slots.contains(&slot),
            "slot {slot} given twice"
        );
        process.caps.remove(&slot);
        process.free_slots.push(slot);
        process.slots_left = process.slots_left.saturating_add(1);
    }

    /// Slots that a process has taken and not given back.
    pub fn slots_taken(&self, pid: Pid) -> usize {
        let process = &self.processes[pid];
        (process.next_slot - abi::boot::slot::FREE) as usize - process.free_slots.len()
    }

    pub fn put(&mut self, pid: Pid, slot: CapAddr, capability: Capability) {
        self.processes[pid].caps.insert(slot, capability);
    }

    /// A capability, unless what it names is gone.
    pub fn get(&self, pid: Pid, slot: CapAddr) -> Option<Capability> {
        let capability = *self.processes[pid].caps.get(&slot)?;
        let alive = match capability.what {
            What::Object(oid) => self.objects[oid].is_some(),
            What::Bank { bank, .. } => self.banks[bank].alive,
            What::Resume(caller) => self.callers.contains_key(&caller),
            _ => true,
        };
        alive.then_some(capability)
    }

    // ---- objects and banks

    pub fn sub_bank(&mut self, parent: usize, limit: u64, opaque: bool) -> Result<usize, Status> {
        self.charge(parent, 1)?;
        let opaque = opaque || self.banks[parent].opaque;
        self.banks.push(Bank {
            parent: Some(parent),
            limit,
            opaque,
            alive: true,
            sold: Vec::new(),
            bought: 0,
        });
        Ok(self.banks.len() - 1)
    }

    fn charge(&mut self, bank: usize, count: u64) -> Result<(), Status> {
        let mut next = Some(bank);
        while let Some(bank) = next {
            if self.banks[bank].bought + count > self.banks[bank].limit {
                return Err(status(error::EDQUOT));
            }
            next = self.banks[bank].parent;
        }
        let mut next = Some(bank);
        while let Some(bank) = next {
            self.banks[bank].bought += count;
            next = self.banks[bank].parent;
        }
        Ok(())
    }

    fn discharge(&mut self, bank: usize, count: u64) {
        let mut next = Some(bank);
        while let Some(bank) = next {
            self.banks[bank].bought -= count;
            next = self.banks[bank].parent;
        }
    }

    pub fn make(&mut self, bank: usize, kind: Kind) -> Oid {
        let oid = self.objects.len();
        let object = match kind {
            Kind::Page => {
                let free = self
                    .frames
                    .iter()
                    .position(|frame| frame.owner.is_none() && frame.pins == 0);
                let frame = free.unwrap_or_else(|| {
                    self.frames.push(Frame {
                        bytes: Box::new([0; PAGE_SIZE]),
                        owner: None,
                        pins: 0,
                    });
                    self.frames.len() - 1
                });
                self.frames[frame].owner = Some(oid);
                Object::Page { frame }
            }
            Kind::Table1 => Object::Segment {
                entries: BTreeMap::new(),
                window_of: None,
            },
            Kind::Aperture => Object::Aperture {
                slots: BTreeMap::new(),
                limbo: Vec::new(),
                notify: None,
            },
            other => panic!("the driver buys no {}", other.name()),
        };
        self.objects.push(Some(object));
        self.banks[bank].sold.push(oid);
        oid
    }

    fn rescind(&mut self, oid: Oid) {
        let object = self.objects[oid].take();
        match object {
            Some(Object::Page { frame }) => {
                self.frames[frame].owner = None;
                if self.frames[frame].pins == 0 {
                    self.frames[frame].bytes.fill(0);
                }
                let mut signals = Vec::new();
                for object in self.objects.iter_mut().flatten() {
                    match object {
                        Object::Segment { entries, .. } => {
                            entries.retain(|_, (page, _)| *page != oid);
                        }
                        Object::Aperture {
                            slots,
                            limbo,
                            notify,
                        } => {
                            for (slot, pin) in slots.iter() {
                                if pin.frame == frame {
                                    limbo.push(*slot);
                                    signals.extend(*notify);
                                }
                            }
                        }
                        Object::Page { .. } => {}
                    }
                }
                for capability in signals {
                    self.signal(capability);
                }
            }
            Some(Object::Aperture { slots, .. }) => {
                assert!(slots.is_empty(), "an aperture went with pins");
            }
            _ => {}
        }
    }

    /// Destroys a bank, its descendants and all that they sold.
    pub fn destroy(&mut self, bank: usize) {
        if !self.banks[bank].alive {
            return;
        }
        self.banks[bank].alive = false;
        let children: Vec<usize> = (0..self.banks.len())
            .filter(|child| self.banks[*child].parent == Some(bank) && self.banks[*child].alive)
            .collect();
        for child in children {
            self.destroy(child);
        }
        let sold = std::mem::take(&mut self.banks[bank].sold);
        let count = sold.len() as u64;
        for oid in sold {
            self.rescind(oid);
        }
        self.discharge(bank, count);
        if let Some(parent) = self.banks[bank].parent {
            self.discharge(parent, 1);
        }
    }

    // ---- memory

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

    /// An access to memory that can be taken back: something may happen just before it.
    pub fn before_access(&mut self) {
        self.accesses += 1;
        if let Some((left, action)) = self.trigger.take() {
            match left {
                0 => action(self),
                left => self.trigger = Some((left - 1, action)),
            }
        }
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

    // ---- messages

    pub fn signal(&mut self, capability: Capability) {
        if let What::Notify { pid, bit } = capability.what {
            self.processes[pid].bits.insert(bit, ());
            *self.signals.entry((pid, bit)).or_default() += 1;
        }
    }

    pub fn begin_call(&mut self, pid: Pid, target: Pid, badge: u64, message: &Message) -> u64 {
        let caller = self.next_caller;
        self.next_caller += 1;
        self.callers.insert(caller, (pid, message.receive));
        let entry = (*message, badge, Some(caller), pid);
        self.processes[target].inbox.push_back(entry);
        caller
    }

    pub fn take_reply(&mut self, caller: u64) -> Option<Reply> {
        self.replies.remove(&caller)
    }

    pub fn poll(&mut self, pid: Pid, receive: [CapAddr; 4]) -> Option<Event> {
        if let Some((deadline, bit)) = self.timer
            && pid == DRIVER
            && deadline <= self.now
        {
            self.timer = None;
            self.processes[pid].bits.insert(bit, ());
        }
        if let Some(first) = self.processes[pid].bits.keys().next().copied() {
            let group = first / 64;
            let mut bits = 0;
            self.processes[pid].bits.retain(|bit, ()| {
                let ours = bit / 64 == group;
                bits |= (ours as u64) << (bit % 64);
                !ours
            });
            return Some(Event::Notified {
                group: group as u16,
                bits,
            });
        }
        let (message, badge, caller, sender) = self.processes[pid].inbox.pop_front()?;
        if let Some(dropped) = self.processes[pid].held.take() {
            self.reply(pid, dropped, status(error::EPIPE), &Message::default());
        }
        self.processes[pid].held = caller;
        let mut received = 0;
        let mut own_badge = 0;
        for (n, (from, into)) in message.caps.iter().zip(receive).enumerate() {
            if let Some(capability) = self.get(sender, *from) {
                match capability.what {
                    What::Start { pid: target, badge } if target == pid => {
                        received |= 0x11 << n;
                        own_badge = badge;
                    }
                    _ if into != 0 => {
                        received |= 1 << n;
                        self.put(pid, into, capability);
                    }
                    _ => {}
                }
            }
        }
        Some(Event::Request(Request {
            badge,
            words: message.words,
            received,
            own_badge,
            call: caller.is_some(),
        }))
    }

    pub fn reply(&mut self, pid: Pid, caller: u64, status: Status, message: &Message) {
        let Some((to, receive)) = self.callers.remove(&caller) else {
            return;
        };
        let mut received = 0;
        for (n, (from, into)) in message.caps.iter().zip(receive).enumerate() {
            if let Some(capability) = self.get(pid, *from)
                && into != 0
            {
                received |= 1 << n;
                self.put(to, into, capability);
            }
        }
        let reply = Reply {
            status,
            words: message.words,
            received,
        };
        self.replies.insert(caller, reply);
    }

    // ---- invocations of kernel objects and banks

    pub fn invoke(&mut self, pid: Pid, address: CapAddr, message: &Message) -> Reply {
        let result = match self.get(pid, address) {
            None => Err(VOID),
            Some(capability) => match capability.what {
                What::Root => self.on_root(pid, message),
                What::Process => self.on_process(pid, message),
                What::Bank { bank, rights } => self.on_bank(pid, bank, rights, message),
                What::Verifier => Ok(self.verify(pid, message)),
                What::Object(oid) => self.on_object(pid, oid, capability.rights, message),
                What::Notify { .. } => {
                    self.signal(capability);
                    Ok([0; 6])
                }
                What::Start { .. } | What::Resume(_) => panic!("not invoked here"),
            },
        };
        match result {
            Ok(words) => Reply {
                words,
                ..Reply::default()
            },
            Err(status) => Reply {
                status,
                ..Reply::default()
            },
        }
    }

    fn on_root(&mut self, pid: Pid, message: &Message) -> Result<[u64; 6], Status> {
        let slot = message.words[1] as CapAddr;
        match message.words[0] {
            method::cap_table::PUT => {
                let mut capability = self.get(pid, message.caps[0]).ok_or(VOID)?;
                capability.rights &= Rights::from_bits_truncate(message.words[2] as u8);
                self.put(pid, slot, capability);
                Ok([0; 6])
            }
            method::cap_table::CLEAR => {
                self.processes[pid].caps.remove(&slot);
                Ok([0; 6])
            }
            method::cap_table::DESCRIBE => {
                let Some(capability) = self.get(pid, slot) else {
                    return Ok([0; 6]);
                };
                let kind = match capability.what {
                    What::Object(oid) => match &self.objects[oid] {
                        Some(Object::Page { .. }) => Kind::Page,
                        Some(Object::Segment { .. }) => Kind::Table1,
                        Some(Object::Aperture { .. }) => Kind::Aperture,
                        None => Kind::Void,
                    },
                    What::Root => Kind::CapTable,
                    What::Process => Kind::Process,
                    What::Notify { .. } => Kind::Notify,
                    What::Resume(_) => Kind::Resume,
                    _ => Kind::Start,
                };
                Ok([kind as u64, capability.rights.bits() as u64, 0, 0, 0, 0])
            }
            _ => Err(status(error::ENOSYS)),
        }
    }

    fn on_process(&mut self, pid: Pid, message: &Message) -> Result<[u64; 6], Status> {
        let what = match message.words[0] {
            method::process::MAKE_START => What::Start {
                pid,
                badge: message.words[1],
            },
            method::process::MAKE_NOTIFY => What::Notify {
                pid,
                bit: message.words[1],
            },
            _ => return Err(status(error::ENOSYS)),
        };
        let rights = Rights::all();
        self.put(pid, message.receive[0], Capability { what, rights });
        Ok([0; 6])
    }

    fn verify(&self, pid: Pid, message: &Message) -> [u64; 6] {
        match self.get(pid, message.caps[0]).map(|cap| cap.what) {
            Some(What::Bank { bank, .. }) => {
                [1, self.banks[bank].opaque as u64, bank as u64, 0, 0, 0]
            }
            _ => [0; 6],
        }
    }

    fn on_bank(
        &mut self,
        pid: Pid,
        bank: usize,
        rights: u8,
        message: &Message,
    ) -> Result<[u64; 6], Status> {
        use sys::bank::BankRights;
        let need = |right: BankRights| match rights & right.bits() {
            0 => Err(status(error::EPERM)),
            _ => Ok(()),
        };
        let [method, a, b, c, d, _] = message.words;
        match method {
            bank_method::BUY => {
                need(BankRights::BUY)?;
                let kind = Kind::from_u8(a as u8).unwrap();
                assert!((1..=64).contains(&b));
                let into = self.get(pid, message.caps[0]).ok_or(VOID)?;
                match into.what {
                    What::Root => {
                        if self.banks[bank].opaque {
                            return Err(status(error::EACCES));
                        }
                        self.charge(bank, b)?;
                        for n in 0..b {
                            let what = What::Object(self.make(bank, kind));
                            let rights = Rights::all();
                            self.put(pid, (c + n) as CapAddr, Capability { what, rights });
                        }
                    }
                    What::Object(segment) => {
                        assert!(into.rights.contains(Rights::MANAGE));
                        let places = c as u16..(c + b) as u16;
                        match &self.objects[segment] {
                            Some(Object::Segment { entries, .. }) => {
                                if places.clone().any(|place| entries.contains_key(&place)) {
                                    return Err(status(error::EEXIST));
                                }
                            }
                            _ => return Err(status(error::EBADF)),
                        }
                        self.charge(bank, b)?;
                        for place in places {
                            let page = self.make(bank, kind);
                            let rights = Rights::from_bits_truncate(d as u8);
                            if let Some(Object::Segment { entries, .. }) =
                                &mut self.objects[segment]
                            {
                                entries.insert(place, (page, rights));
                            }
                        }
                    }
                    _ => return Err(status(error::EBADF)),
                }
                Ok([0; 6])
            }
            bank_method::SELL => {
                need(BankRights::SELL)?;
                match self.get(pid, message.caps[0]).ok_or(VOID)?.what {
                    What::Object(oid) if self.banks[bank].sold.contains(&oid) => {
                        self.banks[bank].sold.retain(|sold| *sold != oid);
                        self.rescind(oid);
                        self.discharge(bank, 1);
                        Ok([0; 6])
                    }
                    _ => Err(status(error::ERANGE)),
                }
            }
            bank_method::SUB_BANK => {
                need(BankRights::BUY)?;
                let child = self.sub_bank(bank, a, b == 1)?;
                let capability = Capability {
                    what: What::Bank {
                        bank: child,
                        rights: 0xff,
                    },
                    rights: Rights::all(),
                };
                self.put(pid, message.receive[0], capability);
                Ok([child as u64, 0, 0, 0, 0, 0])
            }
            bank_method::RESTRICT => {
                let capability = Capability {
                    what: What::Bank {
                        bank,
                        rights: rights & a as u8,
                    },
                    rights: Rights::all(),
                };
                self.put(pid, message.receive[0], capability);
                Ok([0; 6])
            }
            bank_method::DESTROY => {
                need(BankRights::DESTROY)?;
                self.destroy(bank);
                Ok([0; 6])
            }
            _ => Err(status(error::ENOSYS)),
        }
    }

    fn on_object(
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
            method::aperture::LIMBO => {
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

    fn pin(
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

    fn unpin(&mut self, aperture: Oid, slot: u16) {
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

    /// Frames that are pinned and owned by nobody.
    pub fn limbo_frames(&self) -> usize {
        let limbo = |frame: &&Frame| frame.owner.is_none() && frame.pins > 0;
        self.frames.iter().filter(limbo).count()
    }

    fn batch(&self, pid: Pid, offset: usize) -> u64 {
        let bytes = &self.batches(pid)[offset..offset + 8];
        u64::from_le_bytes(bytes.try_into().unwrap())
    }

    fn set_batch(&mut self, pid: Pid, offset: usize, value: u64) {
        let frame = self.batch_frame(pid);
        self.frames[frame].bytes[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
    }

    fn batches(&self, pid: Pid) -> &[u8; PAGE_SIZE] {
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
