//! Invocations of banks.

use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{self, Status, VOID, status};
use sys::Message;
use sys::bank::method as bank_method;

use super::{Capability, Kernel, Object, Pid, What};

impl Kernel {
    pub fn on_bank(
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
                    What::CapTable(table) => {
                        if self.banks[bank].opaque {
                            return Err(status(error::EACCES));
                        }
                        self.charge(bank, b)?;
                        for n in 0..b {
                            let what = What::Object(self.make(bank, kind));
                            let rights = Rights::all();
                            let slot = table * 128 + (c + n) as CapAddr;
                            self.put(pid, slot, Capability { what, rights });
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
}
