//! Which connection a segment belongs to.

use alloc::vec::Vec;
use core::net::IpAddr;

use hashbrown::HashTable;

use crate::hash::Seed;

/// What tells a connection from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Our address.
    pub local: IpAddr,
    /// Our port.
    pub local_port: u16,
    /// The peer's address.
    pub remote: IpAddr,
    /// The peer's port.
    pub remote_port: u16,
}

impl Flow {
    fn hash(&self, seed: Seed) -> u64 {
        let ports = u64::from(self.local_port) << 16 | u64::from(self.remote_port);
        let addresses = seed.mix(seed.address(self.remote), seed.address(self.local));
        seed.mix(addresses, ports)
    }
}

/// Connections by flow. Never grows beyond what it was made for.
pub struct Flows {
    table: HashTable<u16>,
    /// The flow of each connection in the table.
    flows: Vec<Option<Flow>>,
    seed: Seed,
}

impl Flows {
    /// Room for as many connections.
    pub fn new(connections: u16, seed: Seed) -> Flows {
        Flows {
            // Twice as much: then removed ones make way in place, and nothing is ever allocated again.
            table: HashTable::with_capacity(usize::from(connections) * 2),
            flows: alloc::vec![None; connections.into()],
            seed,
        }
    }

    /// The connection with this flow.
    #[inline]
    pub fn find(&self, flow: &Flow) -> Option<u16> {
        let same = |&n: &u16| self.flows[usize::from(n)].as_ref() == Some(flow);
        self.table.find(flow.hash(self.seed), same).copied()
    }

    /// A connection has this flow now. It had none, and no other has it.
    pub fn insert(&mut self, connection: u16, flow: Flow) {
        debug_assert!(self.find(&flow).is_none());
        self.remove(connection);
        self.flows[usize::from(connection)] = Some(flow);
        let (seed, flows) = (self.seed, &self.flows);
        self.table.insert_unique(flow.hash(seed), connection, |&n| {
            // Only connections with a flow are in the table.
            flows[usize::from(n)].map_or(0, |flow| flow.hash(seed))
        });
    }

    /// A connection has no flow any more.
    pub fn remove(&mut self, connection: u16) {
        if let Some(flow) = self.flows[usize::from(connection)] {
            let hash = flow.hash(self.seed);
            if let Ok(entry) = self.table.find_entry(hash, |&n| n == connection) {
                entry.remove();
            }
            self.flows[usize::from(connection)] = None;
        }
    }

    /// The flow of a connection.
    pub fn get(&self, connection: u16) -> Option<Flow> {
        self.flows[usize::from(connection)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    fn flow() -> impl Strategy<Value = Flow> {
        // Few values, so that flows differ in single parts.
        let address = prop_oneof![
            (0u32..3).prop_map(|n| IpAddr::V4((0x0a00_0000 + n).into())),
            (0u128..3).prop_map(|n| IpAddr::V6((0xfd00 << 112 | n).into())),
        ];
        (address.clone(), 0u16..3, address, 0u16..3).prop_map(
            |(local, local_port, remote, remote_port)| Flow {
                local,
                local_port,
                remote,
                remote_port,
            },
        )
    }

    fn key(flow: &Flow) -> (IpAddr, u16, IpAddr, u16) {
        (flow.local, flow.local_port, flow.remote, flow.remote_port)
    }

    proptest! {
        #[test]
        fn finds_exactly_the_right_one(
            seed: u64,
            steps in prop::collection::vec((flow(), any::<bool>()), 0..300),
        ) {
            let mut flows = Flows::new(64, Seed::from(seed));
            let mut model = BTreeMap::new();
            let mut free: Vec<u16> = (0..64).collect();
            let size = flows.table.allocation_size();
            for (flow, add) in steps {
                prop_assert_eq!(flows.find(&flow), model.get(&key(&flow)).copied());
                match model.remove(&key(&flow)) {
                    Some(n) => {
                        flows.remove(n);
                        free.push(n);
                    }
                    None if add && !free.is_empty() => {
                        let n = free.pop().unwrap();
                        flows.insert(n, flow);
                        model.insert(key(&flow), n);
                    }
                    None => {}
                }
                prop_assert_eq!(flows.table.len(), model.len());
            }
            prop_assert_eq!(flows.table.allocation_size(), size);
        }
    }
}
