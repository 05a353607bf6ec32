//! A card, from both sides.

use std::collections::BTreeMap;

use ethdrv::transport::{DeviceFault, Piece, Received, Transport};
use ethdrv::virtio_net::device::{HEADER_BUFFERS, NetFeatures};
use ethdrv::virtio_net::{Error, PAGES, Vectors, VirtioNet};
use sys::Mem;
use virtio::Features;
use virtio::queue::{Area, Areas};
use virtio::testing::function::Registers;
use virtio::testing::{Chain, FakeDevice, FakeFunction, FakeMemory};

/// Where the device reaches the driver's pages.
pub const BASE: u64 = 0x40_0000;

pub const PAGE: usize = 4096;

pub const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

pub const VECTORS: Vectors = Vectors {
    receive: Some(1),
    transmit: Some(2),
    control: Some(3),
    configuration: Some(0),
};

pub fn everything() -> u64 {
    NetFeatures::all().bits() | Features::EVENT_INDEX.bits()
}

pub fn configuration(mtu: u16) -> Vec<u8> {
    let mut bytes = MAC.to_vec();
    bytes.extend([1, 0, 1, 0]);
    bytes.extend(mtu.to_le_bytes());
    bytes
}

/// Driver's and device's side of a card.
pub struct Card {
    pub function: FakeFunction,
    pub memory: FakeMemory,
    pub net: VirtioNet<Registers, FakeMemory>,
    pub receive: FakeDevice<FakeMemory>,
    pub transmit: FakeDevice<FakeMemory>,
    pub control: FakeDevice<FakeMemory>,
    /// What the device wrote into the headers of the buffers with these tokens: over how many buffers
    /// the frame is spread.
    pub numbers: BTreeMap<u16, u16>,
}

pub fn page(memory: &FakeMemory, number: usize) -> Area<FakeMemory> {
    Area {
        memory: memory.part(number * PAGE, PAGE),
        address: BASE + (number * PAGE) as u64,
    }
}

pub fn begin(
    function: &FakeFunction,
    memory: &FakeMemory,
) -> Result<VirtioNet<Registers, FakeMemory>, Error> {
    let give = |number| (number < PAGES).then(|| page(memory, number));
    VirtioNet::begin(function.transport(), |_| Ok(()), give, VECTORS, || false)
}

pub fn card(features: u64, limits: &[u16], mtu: u16) -> Card {
    let function = FakeFunction::new(features, limits, &configuration(mtu));
    let memory = FakeMemory::new(PAGES * PAGE);
    let net = begin(&function, &memory).expect("it is well");
    let event_index = function.accepted() & Features::EVENT_INDEX.bits() != 0;
    let side = |index: u16| {
        // From the addresses that the driver wrote into the registers.
        let state = function.queue(index);
        let area = |address: u64| {
            let number = (address.max(BASE) - BASE) as usize / PAGE;
            page(&memory, number)
        };
        let [descriptors, available, used] = state.addresses.map(area);
        let areas = Areas {
            descriptors,
            available,
            used,
        };
        FakeDevice::new(state.size, areas, event_index)
    };
    let [receive, transmit, control] = [0, 1, 2].map(side);
    Card {
        memory,
        net,
        receive,
        transmit,
        control,
        function,
        numbers: BTreeMap::new(),
    }
}

pub fn usual() -> Card {
    card(everything(), &[256, 256, 64], 1500)
}

pub fn piece(address: u64, length: u32) -> Piece {
    Piece {
        address,
        view: 0,
        length,
    }
}

impl Card {
    /// The command that the driver sent, and its answer given.
    pub fn command(&mut self, answer: u8) -> Option<Vec<u8>> {
        let chain = self.control.take()?;
        let [command, reply] = chain.buffers[..] else {
            panic!("{chain:?}");
        };
        let mut bytes = vec![0; command.length as usize];
        let offset = (command.address - BASE) as usize;
        self.memory.read(offset, &mut bytes).expect("the driver's");
        let offset = (reply.address - BASE) as usize;
        self.memory.store_u8(offset, answer).expect("the driver's");
        self.control.give(chain.head.into(), 1);
        Some(bytes)
    }

    /// The next filled buffer.
    pub fn received(&mut self) -> Result<Option<Received>, DeviceFault> {
        let numbers = &self.numbers;
        self.net.receive(|token, offset| {
            assert_eq!(offset, HEADER_BUFFERS);
            numbers.get(&token).copied()
        })
    }

    pub fn take_posted(&mut self) -> Chain {
        self.receive.take().expect("posted")
    }
}
