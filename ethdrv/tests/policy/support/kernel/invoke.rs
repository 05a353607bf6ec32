//! Invocations of the kernel's objects.

use abi::cap::{CapAddr, Kind, Rights};
use abi::error::{self, Status, VOID, status};
use abi::method;
use sys::{Message, Reply};

use super::{Capability, DRIVER, Kernel, Object, Pid, What};

impl Kernel {
    pub fn invoke(&mut self, pid: Pid, address: CapAddr, message: &Message) -> Reply {
        if pid == DRIVER {
            self.before_access();
        }
        let result = match self.get(pid, address) {
            None => Err(VOID),
            Some(capability) => match capability.what {
                What::CapTable(table) => self.on_cap_table(pid, table, message),
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

    pub fn on_cap_table(
        &mut self,
        pid: Pid,
        table: u16,
        message: &Message,
    ) -> Result<[u64; 6], Status> {
        assert!(message.words[1] < 128);
        let slot = table * 128 + message.words[1] as CapAddr;
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
                    What::CapTable(_) => Kind::CapTable,
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

    pub fn on_process(&mut self, pid: Pid, message: &Message) -> Result<[u64; 6], Status> {
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

    pub fn verify(&self, pid: Pid, message: &Message) -> [u64; 6] {
        match self.get(pid, message.caps[0]).map(|cap| cap.what) {
            Some(What::Bank { bank, .. }) => {
                [1, self.banks[bank].opaque as u64, bank as u64, 0, 0, 0]
            }
            _ => [0; 6],
        }
    }
}
