//! Messages and notifications.

use abi::cap::CapAddr;
use abi::error::{self, Status, status};
use sys::{Event, Message, Reply, Request};

use super::{Capability, DRIVER, Kernel, Pid, What};

impl Kernel {
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
}
