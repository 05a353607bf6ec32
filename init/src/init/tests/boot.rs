//! What is started, and with what.

use super::*;
use crate::driver::DriverPhase;
use crate::fake::Thing;

#[test]
fn users_of_the_manifest_come_up() {
    let world = world();
    let init = start(world, "", TWO_USERS);
    assert!(is_running(&init, "alice") && is_running(&init, "bob"));
    let priority = |name| {
        let number = process(world, name).unwrap();
        world.objects.borrow()[&number].process.priority
    };
    assert_eq!(
        (priority("ethdrv"), priority("alice"), priority("bob")),
        (50, 20, 20)
    );
    let log = logged();
    assert!(
        log.contains("ethdrv drives 00:02.0: 52:54:00:12:34:56"),
        "{log}"
    );
    assert!(
        log.contains("alice is up: 02:75:73:00:00:01, IPv4 10.0.2.21/24"),
        "{log}"
    );
    let console = String::from_utf8(world.console.borrow().clone()).unwrap();
    assert!(console.contains("usufruct> "), "{console}");
}

#[test]
fn what_a_user_costs_is_what_the_manifest_says() {
    let world = world();
    let init = start(world, "", TWO_USERS);
    let mut reserves = 0;
    for name in ["alice", "bob"] {
        let member = member(&init, name);
        let reserve = member.port.unwrap().reserve;
        assert_eq!(
            limit(world, member.slots.bank) + reserve,
            u64::from(member.user.bank)
        );
        reserves += reserve;
    }
    assert_eq!(limit(world, init.driver.bank), init.driver.base + reserves);
}

#[test]
fn a_stack_gets_its_port_and_no_authority_over_its_limit() {
    let world = world();
    start(world, "", TWO_USERS);
    let objects = world.objects.borrow();
    let process = &objects[&process(world, "alice").unwrap()].process;
    let slots = &objects[&process.root].slots;
    assert!(
        matches!(slots[&crate::stack::PORT_SLOT], Thing::Start { badge, .. } if badge & 3 == 1)
    );
    let Thing::Bank { rights, .. } = slots[&abi::boot::slot::BANK] else {
        panic!("no bank");
    };
    assert_eq!(rights, crate::launch::OWN_BANK.bits());
    // Nothing of init's.
    assert!(
        slots
            .values()
            .all(|thing| !matches!(thing, Thing::Service(Kind::Reset | Kind::Irq)))
    );
}

#[test]
fn ports_are_as_the_manifest_says() {
    let world = world();
    start(world, "", TWO_USERS);
    let ports = world.ports.borrow();
    let of = |mac: [u8; 6]| {
        ports
            .values()
            .find(|port| port.settings.mac.bytes() == mac)
            .unwrap()
    };
    let alice = of([2, 0x75, 0x73, 0, 0, 1]);
    assert_eq!(alice.addresses, [core::net::IpAddr::from([10, 0, 2, 21])]);
    assert!(of([2, 0x75, 0x73, 0, 0, 2]).addresses.is_empty());
}

#[test]
fn a_broken_manifest_is_named_by_line_and_key_and_the_console_comes_up() {
    let world = world();
    let mut init = start(world, "", "[[user]]\nname = 'alice'\nshare = 0\n");
    let log = logged();
    assert!(
        log.contains("etc/manifest.toml: line 3: user[0].share: "),
        "{log}"
    );
    assert!(init.members.iter().next().is_none());
    assert!(type_line(&mut init, "users\r").contains("There are no users"));
    type_line(&mut init, "spawn carol\r");
    assert!(is_running(&init, "carol"));
    type_line(&mut init, "halt\r");
    assert_eq!(world.happened.borrow().last().unwrap(), "halt 0");
}

#[test]
fn without_an_archive_the_console_comes_up() {
    let world = world();
    let mut init = Init::new(world, boot(""), &[]).unwrap();
    init.start();
    let log = logged();
    assert!(log.contains("there is no boot archive"), "{log}");
    let shown = type_line(&mut init, "spawn carol\r");
    assert!(shown.contains("there is no network driver: the network driver: reading bin/ethdrv"));
    assert_eq!(total(world), total(&World::new(Machine::with([]))));
}

#[test]
fn without_a_card_users_fail_and_say_why() {
    let _ = world();
    let world: &'static World = Box::leak(Box::new(World::new(Machine::with([]))));
    let mut init = start(world, "", TWO_USERS);
    assert!(matches!(init.driver.phase, DriverPhase::Off(_)));
    let shown = type_line(&mut init, "users\r");
    assert!(
        shown.contains("no PCI function is a virtio-net device"),
        "{shown}"
    );
    assert!(type_line(&mut init, "net\r").contains("There is no network driver"));
}

#[test]
fn a_user_whose_bank_is_too_small_is_told_what_is_needed() {
    let world = world();
    let init = start(
        world,
        "",
        "[[user]]\nname = 'alice'\nbank = 100\n[[user]]\nname = 'bob'\n",
    );
    let log = logged();
    assert!(
        log.contains("user alice: a bank of 100 pages is too small: at least "),
        "{log}"
    );
    assert!(init.members.find("alice").is_none() && is_running(&init, "bob"));
}

#[test]
fn the_guest_gets_the_authorities_and_its_end_halts_the_machine() {
    let world = world();
    let mut init = start(
        world,
        "users=off program=bin/test program-bank=300",
        TWO_USERS,
    );
    assert!(init.members.iter().next().is_none());
    let number = process(world, "test").unwrap();
    let root = world.objects.borrow()[&number].process.root;
    let slots = world.objects.borrow()[&root].slots.clone();
    let kinds = [
        Kind::Start,
        Kind::Irq,
        Kind::IoPort,
        Kind::DeviceMemory,
        Kind::DeviceDma,
        Kind::Reset,
    ];
    for (slot, kind) in (abi::boot::slot::GRANT..).zip(kinds) {
        assert_eq!(slots[&slot], Thing::Service(kind));
    }
    assert_eq!(limit(world, init.guest.as_ref().unwrap().bank), 300);
    world.fault(number, 7);
    settle(&mut init);
    assert!(logged().contains("test (test) stopped: gave up"));
    assert_eq!(world.happened.borrow().last().unwrap(), "halt 1");
}

#[test]
fn a_guest_whose_bank_is_too_small_is_told_so() {
    let world = world();
    let line = "users=off program=bin/test program-bank=20 after=stay";
    start(world, line, "");
    assert_eq!(total(world), total(&World::new(Machine::with([]))));
    let log = logged();
    assert!(
        log.contains("program=bin/test: starting bin/test: buying a")
            && log.contains("the bank's limit")
            && log.contains("give the bank a higher limit"),
        "{log}"
    );
}

#[test]
fn a_guest_may_end_and_leave_the_console() {
    let world = world();
    let before = total(&World::new(Machine::with([])));
    let mut init = start(world, "users=off program=bin/test after=stay", "");
    world.fault(process(world, "test").unwrap(), 1);
    settle(&mut init);
    assert!(world.happened.borrow().is_empty());
    assert!(init.guest.is_none());
    assert_eq!(total(world), before);
}

#[test]
fn a_guest_that_is_not_there_halts_the_machine() {
    let world = world();
    start(world, "program=bin/nothing users=off", "");
    assert!(logged().contains("the boot archive has no bin/nothing"));
    assert_eq!(world.happened.borrow().last().unwrap(), "halt 1");
}

#[test]
fn drivers_get_as_many_slots_for_receive_pages_as_their_ports_and_they_may_take() {
    let few = world();
    start(few, "", TWO_USERS);
    assert_eq!(few.apertures.get(), 1);
    // Theirs fit into one. Where anybody flips, the driver's own buffers take some, too.
    let some = world();
    let manifest = "[[user]]\nname = 'alice'\nreceive_slots = 160\n\
                    [[user]]\nname = 'bob'\nreceive_slots = 160\n";
    let mut init = start(some, "", manifest);
    assert_eq!(init.driver.receive_slots.wanted, 2 * 240);
    assert_eq!(some.apertures.get(), 1);
    for _ in 0..2 {
        type_line(&mut init, "strategy alice flip\r");
        assert_eq!(some.apertures.get(), 2);
    }
    let world = world();
    let manifest = "[[user]]\nname = 'alice'\nreceive_slots = 240\n\
                    [[user]]\nname = 'bob'\nreceive_slots = 240\n";
    let mut init = start(world, "", manifest);
    assert_eq!(world.apertures.get(), 2);
    // Who comes in a place that another left needs no more.
    type_line(&mut init, "revoke bob\r");
    type_line(&mut init, "spawn carol --receive-slots 240\r");
    assert_eq!(world.apertures.get(), 2);
    assert_eq!(init.driver.receive_slots.wanted, 2 * 360);
    // Another driver has none.
    world.fault(process(world, "ethdrv").unwrap(), 7);
    settle(&mut init);
    pass(&mut init, 2_000_000_000);
    assert!(is_running(&init, "carol"));
    assert_eq!(world.apertures.get(), 4);
}

#[test]
fn a_port_keeps_its_pages_when_its_strategy_changes() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let two = init.driver.receive_slots.wanted;
    assert_eq!(two, 2 * 96);
    type_line(&mut init, "spawn carol --strategy flip\r");
    assert!(is_running(&init, "carol"));
    assert_eq!(init.driver.receive_slots.wanted, two + 360);
    type_line(&mut init, "strategy alice flip\r");
    type_line(&mut init, "strategy carol copy\r");
    type_line(&mut init, "revoke carol\r");
    assert_eq!(init.driver.receive_slots.wanted, two);
}
