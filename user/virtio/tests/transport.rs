//! The registers: what a driver does in which order, and devices that are ill.
#![cfg(not(loom))]

use bitflags::bitflags;
use virtio::register::common::NO_VECTOR;
use virtio::testing::{Ailment, FakeDevice, FakeFunction, queue_areas};
use virtio::transport::{Error, Status};
use virtio::{Buffer, Features, Offer, Queue};

bitflags! {
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct Own: u64 {
        const LOW = 1 << 5;
        const OTHER = 1 << 6;
        const HIGH = 1 << 63;
    }
}

const CONFIGURATION: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

fn function(offered: u64) -> FakeFunction {
    FakeFunction::new(offered, &[256, 64, 48, 0, 1024], &CONFIGURATION)
}

fn nothing() -> Offer<Own> {
    Offer::default()
}

fn wish(device: Own) -> Offer<Own> {
    let common = Features::EVENT_INDEX;
    Offer { common, device }
}

#[test]
fn both_sides_agree_on_what_is_offered_and_wanted() {
    let function = function(
        (Features::EVENT_INDEX | Features::ACCESS_PLATFORM | Features::IN_ORDER).bits()
            | Features::PACKED_QUEUES.bits()
            | (Own::LOW | Own::HIGH).bits(),
    );
    let transport = function.transport();
    let wanted = wish(Own::OTHER | Own::HIGH);
    let setup = transport
        .negotiate(wish(Own::LOW), wanted, || false)
        .expect("it is well");
    let agreed = Offer {
        common: Features::EVENT_INDEX | Features::VERSION_1 | Features::ACCESS_PLATFORM,
        device: Own::LOW | Own::HIGH,
    };
    assert_eq!(setup.features(), agreed);
    assert_eq!(function.accepted(), agreed.bits());
    setup.finish().expect("it is well");
    assert_eq!(transport.check(), Ok(()));
    let works = Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK | Status::DRIVER_OK;
    assert_eq!(function.status(), works);
}

#[test]
fn missing_features_are_named() {
    let function = function(Own::OTHER.bits());
    let transport = function.transport();
    let required = wish(Own::OTHER | Own::HIGH);
    let missing = (Features::EVENT_INDEX.bits()) | Own::HIGH.bits();
    assert_eq!(
        transport.negotiate(required, nothing(), || false).err(),
        Some(Error::MissingFeatures(missing))
    );
    assert!(function.status().contains(Status::FAILED));

    function.withdraw(Features::VERSION_1.bits());
    assert_eq!(
        transport.negotiate(nothing(), nothing(), || false).err(),
        Some(Error::MissingFeatures(Features::VERSION_1.bits()))
    );
}

#[test]
fn queues_are_set_up_with_their_vectors_and_rung() {
    let function = function(Features::EVENT_INDEX.bits());
    let transport = function.transport();
    let setup = transport
        .negotiate(nothing(), wish(Own::empty()), || false)
        .expect("it is well");
    assert_eq!(setup.queue_limit(0), Ok(256));
    assert_eq!(setup.queue_limit(1), Ok(64));
    assert_eq!(
        setup.queue_limit(2),
        Ok(32),
        "no power of two: rounded down"
    );
    assert_eq!(setup.queue_limit(3), Err(Error::NoQueue(3)), "unavailable");
    assert_eq!(setup.queue_limit(4), Ok(256), "as large as a frame allows");
    assert_eq!(setup.queue_limit(5), Err(Error::NoQueue(5)));

    setup.configuration_vector(Some(3)).expect("has room");
    let areas = queue_areas(64, 0x1_2345_0000);
    let mut queue = Queue::new(64, areas.clone(), true).expect("a good size");
    let bell = setup.enable(1, &queue, Some(1)).expect("it is well");
    assert_eq!(setup.enable(1, &queue, Some(1)), Err(Error::BadQueue(1)));
    assert_eq!(setup.enable(2, &queue, Some(1)), Err(Error::BadQueue(2)));
    let state = function.queue(1);
    assert_eq!((state.size, state.vector, state.enabled), (64, 1, true));
    let addresses = [0x1_2345_0000, 0x1_2345_1000, 0x1_2345_2000];
    assert_eq!(state.addresses, addresses);
    assert_eq!(function.vector(), 3);

    let other = Queue::<_, ()>::new(4, queue_areas(4, 0x9000), true).expect("a good size");
    setup.enable(0, &other, None).expect("it is well");
    assert_eq!(function.queue(0).vector, NO_VECTOR);
    setup.finish().expect("it is well");

    // One round through everything.
    let mut device = FakeDevice::new(64, areas, true);
    queue
        .post(&[Buffer::from_device(0x7000, 5)], 77)
        .expect("room");
    assert_eq!(queue.should_notify(), Ok(true));
    transport.ring(bell).expect("checked");
    assert_eq!(function.rung(), [1]);
    let chain = device.take().expect("posted");
    device.give(chain.head.into(), 5);
    let done = queue.take().expect("honest").expect("given");
    assert_eq!((done.token, done.written), (77, Ok(5)));
}

#[test]
fn notification_registers_outside_the_structure_are_refused() {
    let function = function(0);
    // Few enough bytes for every place but the first to lie outside.
    let transport = function.transport();
    function.set_multiplier(2);
    let setup = transport
        .negotiate(nothing(), nothing(), || false)
        .expect("it is well");
    let queue = Queue::<_, ()>::new(4, queue_areas(4, 0x9000), false).expect("a good size");
    // The driver was told 4 bytes apart: the last place but one already ends beyond.
    assert_eq!(setup.enable(0, &queue, None), Err(Error::BadNotify(0)));
    assert_eq!(setup.enable(1, &queue, None), Err(Error::BadNotify(1)));
    assert!(setup.enable(2, &queue, None).is_ok());
    assert!(!function.queue(0).enabled);
}

#[test]
fn configuration_is_read_whole() {
    let function = function(0);
    let transport = function.transport();
    let mut looks = 0;
    let value = transport.configuration(|device| {
        use sys::Mem;
        let low = device.load_u32(0)?;
        looks += 1;
        if looks <= 3 {
            function.configure(0, &[looks; 8]);
        }
        Ok([low, device.load_u32(4)?])
    });
    assert_eq!(value, Ok([0x0303_0303; 2]), "never half of each");
    assert_eq!(looks, 4);

    function.afflict(Ailment::Restless);
    assert_eq!(transport.configuration(|_| Ok(())), Err(Error::Unstable));
}

#[test]
fn a_slow_reset_is_waited_for_and_no_longer_than_that() {
    let function = function(0);
    let transport = function.transport();
    let setup = transport
        .negotiate(nothing(), nothing(), || false)
        .expect("it is well");
    setup.finish().expect("it is well");

    function.afflict(Ailment::SlowReset(20));
    let mut patience = 10;
    let mut wait = || {
        patience -= 1;
        patience > 0
    };
    assert_eq!(transport.reset(&mut wait).err(), Some(Error::Stuck));
    assert_eq!(patience, 0);
    let mut waits = 0;
    let stopped = transport.reset(|| {
        waits += 1;
        true
    });
    assert!(stopped.is_ok());
    assert_eq!(waits, 19);
}

#[test]
fn ill_devices_are_told_apart() {
    let cases = [
        (Ailment::Gone, Error::Vanished),
        (Ailment::RefusesFeatures, Error::FeaturesRefused),
        (Ailment::RefusesVectors, Error::NoVector(2)),
        (Ailment::Collapses, Error::NeedsReset),
    ];
    for (ailment, error) in cases {
        let function = function(0);
        function.afflict(ailment);
        let transport = function.transport();
        let attempt = || {
            let setup = transport.negotiate(nothing(), nothing(), || false)?;
            setup.configuration_vector(Some(2))?;
            setup.finish()
        };
        assert_eq!(attempt(), Err(error), "{ailment:?}");
    }
}

#[test]
fn a_device_that_collapses_or_vanishes_at_work_is_noticed() {
    let function = function(0);
    let transport = function.transport();
    let setup = transport
        .negotiate(nothing(), nothing(), || false)
        .expect("it is well");
    setup.finish().expect("it is well");
    function.collapse();
    assert_eq!(transport.check(), Err(Error::NeedsReset));
    function.afflict(Ailment::Gone);
    assert_eq!(transport.check(), Err(Error::Vanished));
    assert!(matches!(
        transport.reset(|| panic!("nothing to wait for")),
        Err(Error::Vanished)
    ));
}
