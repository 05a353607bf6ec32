//! Objects, frames and banks: what is bought, sold and taken back.

use std::collections::BTreeMap;

use abi::PAGE_SIZE;
use abi::cap::Kind;
use abi::error::{self, Status, status};

use super::{Bank, Frame, Kernel, Object, Oid};

impl Kernel {
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

    pub fn charge(&mut self, bank: usize, count: u64) -> Result<(), Status> {
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

    pub fn discharge(&mut self, bank: usize, count: u64) {
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

    pub fn rescind(&mut self, oid: Oid) {
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
}
