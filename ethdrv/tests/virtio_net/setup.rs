//! Bringing devices up: what is agreed to, and what is refused.

use dev::Mac;
use ethdrv::transport::{Information, Transport};
use ethdrv::virtio_net::device::NetFeatures;
use ethdrv::virtio_net::filter::Mode;
use ethdrv::virtio_net::{Error, PAGES, VirtioNet};
use virtio::Features;
use virtio::testing::{Ailment, FakeFunction, FakeMemory};
use virtio::transport::{Error as DeviceError, Stopped};

use crate::card::*;

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
fn an_mtu_is_agreed_to_where_its_frames_can_be_served() {
    let memory = FakeMemory::new(PAGES * PAGE);
    let merge = NetFeatures::MERGEABLE_BUFFERS.bits();
    let with = |features, limits: &[u16], mtu| {
        let function = FakeFunction::new(features, limits, &configuration(mtu));
        begin(&function, &memory).map(|net| {
            let accepted = NetFeatures::from_bits_truncate(function.accepted());
            let agreed = accepted.contains(NetFeatures::MTU);
            let merged = accepted.contains(NetFeatures::MERGEABLE_BUFFERS);
            (net.information().frame_limit, agreed, merged)
        })
    };
    let limits = [256, 256, 64];
    let usual = |mtu| with(everything(), &limits, mtu);
    assert_eq!(usual(67), Err(Error::BadMtu(67)));
    assert_eq!(usual(68), Ok((82, true, false)));
    assert_eq!(usual(1400), Ok((1414, true, false)));
    assert_eq!(usual(1500), Ok((1514, true, false)));
    // Longer than a buffer holds: only in several.
    assert_eq!(usual(1501), Ok((1515, true, true)));
    assert_eq!(usual(9000), Ok((9014, true, true)));
    assert_eq!(usual(9001), Ok((1514, false, false)));
    let plain = |mtu| with(everything() & !merge, &limits, mtu);
    assert_eq!(plain(1500), Ok((1514, true, false)));
    assert_eq!(plain(9000), Ok((1514, false, false)));
    // No queue that holds but a part of a frame.
    let small = with(everything(), &[8, 256, 64], 9000);
    assert_eq!(small, Err(Error::TooSmall));
    assert_eq!(with(everything(), &[16, 256, 64], 9000), usual(9000));
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
    let begun = VirtioNet::begin(function.transport(), |_| Ok(()), few, VECTORS, || false);
    assert_eq!(begun.err(), Some(Error::NoPage(9)));
}

#[test]
fn a_device_becomes_a_bus_master_after_its_reset_and_before_it_knows_a_queue() {
    let function = FakeFunction::new(everything(), &[256, 256, 64], &configuration(1500));
    let memory = FakeMemory::new(PAGES * PAGE);
    let give = |number| (number < PAGES).then(|| page(&memory, number));
    // An earlier driver left it at work.
    let earlier = begin(&function, &memory).expect("it is well");
    assert!(function.queue(0).enabled);
    let mut asked = 0;
    let master = |_: &Stopped| {
        asked += 1;
        assert!(function.status().is_empty());
        assert!((0..3).all(|index| !function.queue(index).enabled));
        Ok(())
    };
    let begun = VirtioNet::begin(function.transport(), master, give, VECTORS, || false);
    assert!(begun.is_ok());
    assert_eq!(asked, 1);
    drop((earlier, begun));
    // One that doesn't reset itself, or may not be one, stays none and learns nothing.
    let refusal = sys::Error::new(abi::error::EBUSY);
    let refused = VirtioNet::begin(
        function.transport(),
        |_| Err(refusal),
        give,
        VECTORS,
        || false,
    );
    assert_eq!(refused.err(), Some(Error::Master(refusal)));
    assert!((0..3).all(|index| !function.queue(index).enabled));
    function.afflict(Ailment::Gone);
    let never = |_: &Stopped| unreachable!("nobody knows what it does");
    let gone = VirtioNet::begin(function.transport(), never, give, VECTORS, || false);
    assert_eq!(gone.err(), Some(Error::Device(DeviceError::Vanished)));
}
