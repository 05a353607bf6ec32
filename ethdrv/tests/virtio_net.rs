//! The virtio-net transport against a device's registers and queues, well and ill.

use dev::Mac;
use ethdrv::transport::{Full, Information, Interest, Piece, Received, Transport};
use ethdrv::virtio_net::device::NetFeatures;
use ethdrv::virtio_net::filter::{MOST, Mode};
use ethdrv::virtio_net::{Error, Failure, PAGES, Vectors, VirtioNet};
use sys::Mem;
use virtio::queue::{Area, Areas, Error as QueueError, Misbehaviour};
use virtio::testing::function::Registers;
use virtio::testing::{Ailment, Chain, FakeDevice, FakeFunction, FakeMemory};
use virtio::transport::Error as DeviceError;
use virtio::{Buffer, Features};

/// Where the device reaches the driver's pages.
const BASE: u64 = 0x40_0000;
const PAGE: usize = 4096;
const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const VECTORS: Vectors = Vectors {
    receive: Some(1),
    transmit: Some(2),
    control: Some(3),
    configuration: Some(0),
};

fn everything() -> u64 {
    NetFeatures::all().bits() | Features::EVENT_INDEX.bits()
}

fn configuration(mtu: u16) -> Vec<u8> {
    let mut bytes = MAC.to_vec();
    bytes.extend([1, 0, 1, 0]);
    bytes.extend(mtu.to_le_bytes());
    bytes
}

/// Driver's and device's side of a card.
struct Card {
    function: FakeFunction,
    memory: FakeMemory,
    net: VirtioNet<Registers, FakeMemory>,
    receive: FakeDevice<FakeMemory>,
    transmit: FakeDevice<FakeMemory>,
    control: FakeDevice<FakeMemory>,
}

fn page(memory: &FakeMemory, number: usize) -> Area<FakeMemory> {
    Area {
        memory: memory.part(number * PAGE, PAGE),
        address: BASE + (number * PAGE) as u64,
    }
}

fn begin(
    function: &FakeFunction,
    memory: &FakeMemory,
) -> Result<VirtioNet<Registers, FakeMemory>, Error> {
    let give = |number| (number < PAGES).then(|| page(memory, number));
    VirtioNet::begin(function.transport(), give, VECTORS, || false)
}

fn card(features: u64, limits: &[u16]) -> Card {
    let function = FakeFunction::new(features, limits, &configuration(1500));
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
    }
}

fn usual() -> Card {
    card(everything(), &[256, 256, 64])
}

fn piece(address: u64, length: u32) -> Piece {
    Piece {
        address,
        view: 0,
        length,
    }
}

impl Card {
    /// The command that the driver sent, and its answer given.
    fn command(&mut self, answer: u8) -> Option<Vec<u8>> {
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

    fn take_posted(&mut self) -> Chain {
        self.receive.take().expect("posted")
    }
}

#[test]
fn a_device_is_set_up_with_a_vector_for_each_queue() {
    let card = usual();
    let wanted = NetFeatures::MAC
        | NetFeatures::MTU
        | NetFeatures::STATUS
        | NetFeatures::CONTROL_QUEUE
        | NetFeatures::CONTROL_RECEIVE;
    let common = Features::VERSION_1 | Features::EVENT_INDEX;
    assert_eq!(card.function.accepted(), wanted.bits() | common.bits());
    assert_eq!(card.function.vector(), 0);
    for (index, size) in [(0, 256), (1, 256), (2, 4)] {
        let queue = card.function.queue(index);
        assert!(queue.enabled);
        assert_eq!((queue.size, queue.vector), (size, index + 1));
    }
    let information = Information {
        mac: MAC,
        frame_limit: 1514,
        receive_capacity: 256,
        transmit_capacity: 85,
        pieces: 3,
        receive_headroom: 12,
        transmit_headroom: 12,
    };
    assert_eq!(card.net.information(), information);
}

#[test]
fn received_frames_come_in_the_order_of_the_device() {
    let mut card = usual();
    for token in 0..256 {
        let buffer = piece(0x10_0000 + 2048 * u64::from(token), 2036);
        assert_eq!(card.net.post(buffer, token), Ok(()));
    }
    assert_eq!(card.net.post(piece(0x9000, 2036), 0), Err(Full));
    card.net.flush();
    assert_eq!(card.function.rung(), [0]);
    assert_eq!(card.net.receive(), Ok(None));

    let chains: Vec<Chain> = (0..256).map(|_| card.take_posted()).collect();
    let expected = Buffer::from_device(0x10_0000 + 2048 * 7, 2036);
    assert_eq!(chains[7].buffers, [expected]);
    for n in [7usize, 0, 255] {
        card.receive.give(chains[n].head.into(), 12 + n as u32);
    }
    // Less than a header; nothing; more than there is room for: the policy is to know.
    for (n, written) in [(1usize, 11), (2, 0), (3, u32::MAX)] {
        card.receive.give(chains[n].head.into(), written);
    }
    for (token, length) in [
        (7, 7),
        (0, 0),
        (255, 255),
        (1, 0),
        (2, 0),
        (3, u32::MAX - 12),
    ] {
        let received = Received {
            token,
            offset: 12,
            length,
            more: false,
        };
        assert_eq!(card.net.receive(), Ok(Some(received)));
    }
    assert_eq!(card.net.receive(), Ok(None));
}

#[test]
fn sent_frames_carry_their_header_and_all_pieces() {
    let mut card = usual();
    let pieces = [piece(0x5010, 128), piece(0x7080, 100), piece(0x8000, 1286)];
    for count in 1..=3 {
        let token = count as u16;
        assert_eq!(card.net.transmit(&pieces[..count], token), Ok(()));
        let chain = card.transmit.take().expect("sent");
        assert_eq!(chain.buffers[0], Buffer::to_device(0x5004, 140));
        for (buffer, piece) in chain.buffers.iter().zip(pieces).skip(1) {
            assert_eq!(*buffer, Buffer::to_device(piece.address, piece.length));
        }
        assert_eq!(chain.buffers.len(), count);
        // A length for a chain that can't be written to is nobody's concern.
        card.transmit.give(chain.head.into(), 99);
        assert_eq!(card.net.transmitted(), Ok(Some(token)));
    }
    assert_eq!(card.net.transmit(&[], 9), Err(Full));
    assert_eq!(card.net.transmit(&[pieces[0]; 4], 9), Err(Full));
    assert_eq!(card.net.transmitted(), Ok(None));
}

#[test]
fn as_many_frames_as_it_says_fit_whatever_their_pieces() {
    for size in [4, 64, 256] {
        let mut card = card(everything(), &[256, size, 64]);
        let capacity = card.net.information().transmit_capacity;
        assert!(capacity >= 1);
        for token in 0..capacity {
            let pieces = [piece(0x5010, 128); 3];
            assert_eq!(card.net.transmit(&pieces, token), Ok(()));
        }
    }
}

#[test]
fn the_device_is_told_once_for_a_batch_and_only_when_it_asks() {
    let mut card = usual();
    card.net.flush();
    assert_eq!(card.function.rung(), [0u16; 0]);
    for token in 0..5 {
        card.net.post(piece(0x9000, 2036), token).expect("room");
        card.net
            .transmit(&[piece(0x5010, 60)], token)
            .expect("room");
    }
    card.net.flush();
    assert_eq!(card.function.rung(), [0, 1]);
    card.net.flush();
    assert_eq!(card.function.rung(), [0u16; 0]);
    card.transmit.quiet();
    card.net.transmit(&[piece(0x5010, 60)], 5).expect("room");
    card.net.flush();
    assert_eq!(card.function.rung(), [0u16; 0]);
}

#[test]
fn interrupts_come_for_what_was_asked() {
    let mut card = usual();
    for token in 0..4 {
        card.net.post(piece(0x9000, 2036), token).expect("room");
        card.net
            .transmit(&[piece(0x5010, 60)], token)
            .expect("room");
    }
    let interest = |receive, transmit| Interest { receive, transmit };
    let receive = |card: &mut Card| {
        let chain = card.receive.take().expect("posted");
        card.receive.give(chain.head.into(), 72);
        card.receive.should_interrupt()
    };
    let transmit = |card: &mut Card| {
        let chain = card.transmit.take().expect("sent");
        card.transmit.give(chain.head.into(), 0);
        card.transmit.should_interrupt()
    };
    assert!(!card.net.ask(interest(true, false)));
    assert!(!transmit(&mut card));
    assert!(receive(&mut card));
    assert!(card.net.ask(interest(true, false)), "it is there already");
    assert!(card.net.ask(interest(false, true)), "one left already");
    while card.net.receive().expect("honest").is_some() {}
    while card.net.transmitted().expect("honest").is_some() {}
    assert!(!card.net.ask(interest(false, true)));
    assert!(!receive(&mut card));
    assert!(transmit(&mut card));
    while card.net.transmitted().expect("honest").is_some() {}
    assert!(!card.net.ask(interest(false, true)));
    card.net.quiet();
    assert!(!transmit(&mut card));
}

#[test]
fn a_device_without_extras_works_all_the_same() {
    let function = FakeFunction::new(NetFeatures::MAC.bits(), &[64, 16], &MAC);
    let memory = FakeMemory::new(PAGES * PAGE);
    let mut net = begin(&function, &memory).expect("it is well");
    assert!(net.link());
    assert_eq!(net.information().frame_limit, 1514);
    assert_eq!(net.information().receive_capacity, 64);
    net.set_filter([Mac::new(MAC)].into_iter(), [].into_iter());
    net.flush();
    assert_eq!(net.filter_mode(), Mode::Everything);
    assert_eq!(net.failure(), None);
}

#[test]
fn the_link_is_what_the_configuration_says() {
    let mut card = usual();
    assert!(card.net.link());
    card.function.configure(6, &[0]);
    assert!(!card.net.link());
    card.function.configure(6, &[1]);
    assert!(card.net.link());
}

#[test]
fn mtus_that_cannot_be_served_are_not_agreed_to() {
    let memory = FakeMemory::new(PAGES * PAGE);
    let mtu = |mtu| {
        let function = FakeFunction::new(everything(), &[256, 256, 64], &configuration(mtu));
        begin(&function, &memory).map(|net| {
            let agreed = function.accepted() & NetFeatures::MTU.bits() != 0;
            (net.information().frame_limit, agreed)
        })
    };
    assert_eq!(mtu(1400).expect("it is well"), (1414, true));
    assert_eq!(mtu(1500).expect("it is well"), (1514, true));
    assert_eq!(mtu(9000).expect("it is well"), (1514, false));
    assert_eq!(mtu(67).err(), Some(Error::BadMtu(67)));
}

#[test]
fn devices_that_cannot_be_used_are_refused_with_the_reason() {
    let memory = FakeMemory::new(PAGES * PAGE);
    let try_with = |features, limits: &[u16], configuration: &[u8], ailment| {
        let function = FakeFunction::new(features, limits, configuration);
        function.afflict(ailment);
        begin(&function, &memory).err()
    };
    let good = configuration(1500);
    let limits = [256, 256, 64];
    let mac = NetFeatures::MAC.bits();
    assert_eq!(
        try_with(everything() & !mac, &limits, &good, Ailment::None),
        Some(Error::Device(DeviceError::MissingFeatures(mac)))
    );
    for bad in [[1, 2, 3, 4, 5, 6], [0xff; 6], [0; 6]] {
        let mut configuration = good.clone();
        configuration[..6].copy_from_slice(&bad);
        assert_eq!(
            try_with(everything(), &limits, &configuration, Ailment::None),
            Some(Error::BadMac(Mac::new(bad)))
        );
    }
    let no_queue = |queue| Some(Error::Device(DeviceError::NoQueue(queue)));
    let healthy = Ailment::None;
    assert_eq!(try_with(everything(), &[256], &good, healthy), no_queue(1));
    assert_eq!(
        try_with(everything(), &[256, 256], &good, healthy),
        no_queue(2)
    );
    let small = Some(Error::TooSmall);
    assert_eq!(try_with(everything(), &[8, 2, 64], &good, healthy), small);
    assert_eq!(try_with(everything(), &[8, 8, 1], &good, healthy), small);
    // A configuration that ends before its fields.
    let cut = &good[..4];
    let fault = Some(Error::Device(DeviceError::Memory(sys::Fault::OutOfRange)));
    assert_eq!(try_with(mac, &limits, cut, healthy), fault);
    let ill = [
        (Ailment::Gone, DeviceError::Vanished),
        (Ailment::RefusesFeatures, DeviceError::FeaturesRefused),
        (Ailment::RefusesVectors, DeviceError::NoVector(0)),
        (Ailment::Restless, DeviceError::Unstable),
        (Ailment::Collapses, DeviceError::NeedsReset),
    ];
    for (ailment, error) in ill {
        let refused = try_with(everything(), &limits, &good, ailment);
        assert_eq!(refused, Some(Error::Device(error)), "{ailment:?}");
    }
    let function = FakeFunction::new(everything(), &limits, &good);
    let few = |number| (number < 9).then(|| page(&memory, number));
    let begun = VirtioNet::begin(function.transport(), few, VECTORS, || false);
    assert_eq!(begun.err(), Some(Error::NoPage(9)));
}

fn station(number: u8) -> Mac {
    Mac::new([2, 0, 0, 0, 0, number])
}

fn group(number: u8) -> Mac {
    Mac::new([0x33, 0x33, 0, 0, 0, number])
}

#[test]
fn the_filter_is_set_before_the_device_stops_receiving_everything() {
    let mut card = usual();
    assert_eq!(card.net.filter_mode(), Mode::Everything);
    card.net
        .set_filter([1, 2].map(station).into_iter(), [3].map(group).into_iter());
    card.net.flush();
    assert_eq!(card.function.rung(), [2]);
    let table = [
        &[1, 0, 2, 0, 0, 0][..],
        &station(1).bytes(),
        &station(2).bytes(),
        &[1, 0, 0, 0],
        &group(3).bytes(),
    ];
    assert_eq!(card.command(0), Some(table.concat()));
    assert_eq!(card.net.filter_mode(), Mode::Everything, "not yet");
    card.net.flush();
    assert_eq!(card.command(0), Some(vec![0, 0, 0]));
    card.net.flush();
    assert_eq!(card.command(0), Some(vec![0, 1, 0]));
    card.net.flush();
    assert_eq!(card.command(0), None);
    assert_eq!(card.net.filter_mode(), Mode::Table);
}

#[test]
fn a_filter_that_changes_under_way_is_sent_again() {
    let mut card = usual();
    card.net
        .set_filter([1].map(station).into_iter(), [].into_iter());
    card.net.flush();
    for number in 2..9 {
        card.net
            .set_filter([number].map(station).into_iter(), [].into_iter());
        card.net.flush();
    }
    let table = |number| {
        let stations = [&[1, 0, 1, 0, 0, 0][..], &station(number).bytes()];
        [stations.concat(), vec![0; 4]].concat()
    };
    assert_eq!(card.command(0), Some(table(1)));
    card.net.flush();
    assert_eq!(card.command(0), Some(table(8)), "only the last one counts");
    for _ in 0..2 {
        card.net.flush();
        assert!(card.command(0).is_some());
    }
    card.net.flush();
    assert_eq!(card.net.filter_mode(), Mode::Table);
}

#[test]
fn a_filter_that_is_too_large_or_refused_lets_everything_in() {
    let mut card = usual();
    let many = |most: usize| (0..most as u8).map(station);
    card.net
        .set_filter(many(MOST - 1), [group(1), group(2)].into_iter());
    card.net.flush();
    assert_eq!(card.command(0), Some(vec![0, 0, 1]));
    card.net.flush();
    assert_eq!(card.net.filter_mode(), Mode::Everything);
    assert_eq!(card.command(0), None);

    card.net
        .set_filter(many(MOST - 2), [group(1), group(2)].into_iter());
    card.net.flush();
    let table = card.command(1).expect("fits");
    assert_eq!(table.len(), 2 + 4 + 4 + 6 * MOST);
    card.net.flush();
    assert_eq!(card.command(0), Some(vec![0, 0, 1]), "after a refusal");
    card.net.flush();
    assert_eq!(card.net.filter_mode(), Mode::Refused);

    // Refused is not for ever.
    card.net.set_filter(many(1), [].into_iter());
    for _ in 0..3 {
        card.net.flush();
        assert!(card.command(0).is_some());
    }
    card.net.flush();
    assert_eq!(card.net.filter_mode(), Mode::Table);
    assert_eq!(card.net.failure(), None);
}

#[test]
fn an_answer_to_a_command_interrupts() {
    let mut card = usual();
    let nothing = Interest::default();
    assert!(!card.net.ask(nothing));
    card.net
        .set_filter([1].map(station).into_iter(), [].into_iter());
    card.net.flush();
    assert!(!card.net.ask(nothing));
    assert!(card.command(0).is_some());
    assert!(card.control.should_interrupt());
    assert!(card.net.ask(nothing), "there is an answer to follow up");
    card.net.flush();
    assert!(!card.net.ask(nothing));
}

#[test]
fn what_the_device_does_not_have_is_passed_over_each_time() {
    let mut card = usual();
    card.net.post(piece(0x9000, 2036), 5).expect("room");
    card.net.transmit(&[piece(0x5010, 60)], 6).expect("room");
    let chain = card.take_posted();
    card.receive.give(77, 100);
    assert!(card.net.receive().is_err());
    card.receive.give(u32::MAX, 100);
    assert!(card.net.receive().is_err());
    card.receive.give(chain.head.into(), 100);
    let received = card.net.receive().expect("its own").expect("given");
    assert_eq!((received.token, received.length), (5, 88));
    card.transmit.give(77, 0);
    assert!(card.net.transmitted().is_err());
    assert_eq!(card.net.transmitted(), Ok(None));
    assert_eq!(card.net.failure(), None);
}

#[test]
fn an_index_that_jumps_is_told_once_and_nobody_spins() {
    for receive in [true, false] {
        let mut card = usual();
        card.net.post(piece(0x9000, 2036), 5).expect("room");
        card.net.transmit(&[piece(0x5010, 60)], 6).expect("room");
        let side = if receive {
            &mut card.receive
        } else {
            &mut card.transmit
        };
        side.lie_about_index(300);
        let interest = Interest {
            receive: true,
            transmit: true,
        };
        assert!(card.net.ask(interest), "something to poll for");
        let errors: usize = (0..100)
            .map(|_| {
                let received = card.net.receive().is_err();
                let transmitted = card.net.transmitted().is_err();
                usize::from(received) + usize::from(transmitted)
            })
            .sum();
        assert_eq!(errors, 1);
        assert!(!card.net.ask(interest), "nothing any more");
        let jump = QueueError::Misbehaved(Misbehaviour::IndexJump {
            expected: 0,
            index: 300,
            outstanding: 1,
        });
        let failure = if receive {
            Failure::Receive(jump)
        } else {
            Failure::Transmit(jump)
        };
        assert_eq!(card.net.failure(), Some(failure));
        assert_eq!(card.net.check(), Err(failure));
        assert!(!card.net.link());
    }
}

#[test]
fn a_control_queue_that_misbehaves_fails_without_spinning() {
    let mut card = usual();
    card.net
        .set_filter([1].map(station).into_iter(), [].into_iter());
    card.net.flush();
    card.control.lie_about_index(9);
    card.net.flush();
    assert!(matches!(card.net.failure(), Some(Failure::Control(_))));
    let interest = Interest {
        receive: true,
        transmit: true,
    };
    assert!(!card.net.ask(interest));
    card.net.flush();
    assert_eq!(card.net.receive(), Ok(None));
}

#[test]
fn a_device_that_collapses_or_vanishes_is_noticed_when_asked() {
    let mut card = usual();
    assert_eq!(card.net.check(), Ok(()));
    card.function.collapse();
    let failure = Failure::Device(DeviceError::NeedsReset);
    assert_eq!(card.net.check(), Err(failure));

    let mut card = usual();
    for token in 0..200 {
        card.net.post(piece(0x9000, 2036), token).expect("room");
    }
    card.function.afflict(Ailment::Gone);
    card.net.flush();
    assert_eq!(card.net.receive(), Ok(None));
    let failure = Failure::Device(DeviceError::Vanished);
    assert_eq!(card.net.check(), Err(failure));
    assert_eq!(card.net.failure(), Some(failure));
}

#[test]
fn a_device_that_vanishes_is_noticed_by_asking_often_enough() {
    let mut card = usual();
    card.function.afflict(Ailment::Gone);
    let interest = Interest {
        receive: true,
        transmit: true,
    };
    assert!(card.net.works());
    for _ in 0..100 {
        assert!(!card.net.ask(interest));
    }
    assert!(!card.net.works());
    let failure = Failure::Device(DeviceError::Vanished);
    assert_eq!(card.net.failure(), Some(failure));
}
