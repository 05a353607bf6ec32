//! Whatever happens in whatever order, init goes on, and nothing is lost.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Happening {
    Line(&'static str),
    Garbage(Vec<u8>),
    Death(&'static str, u64),
    Bit(u64),
    Attach(&'static str),
    Turns(u8),
    Time(u64),
    Scarcity(u64),
    Reluctance(u32, u32),
}

fn happening() -> impl Strategy<Value = Happening> {
    let lines = [
        "spawn carol",
        "spawn dave --bank 900",
        "spawn alice --bank 10",
        "revoke alice",
        "revoke bob",
        "revoke carol",
        "kill alice",
        "kill ethdrv",
        "kill watchdog",
        "kill carol",
        "users",
        "banks",
        "ps",
        "net",
        "ports",
        "spawn bob",
        "log info",
    ];
    prop_oneof![
        6 => prop::sample::select(lines.to_vec()).prop_map(Happening::Line),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Happening::Garbage),
        3 => (prop::sample::select(vec!["alice", "bob", "carol", "ethdrv", "watchdog"]), 1u64..8)
            .prop_map(|(name, cause)| Happening::Death(name, cause)),
        1 => (0u64..80).prop_map(Happening::Bit),
        2 => prop::sample::select(vec!["alice", "bob", "carol"]).prop_map(Happening::Attach),
        4 => (1u8..30).prop_map(Happening::Turns),
        3 => (0u64..5_000_000_000).prop_map(Happening::Time),
        1 => (0u64..300).prop_map(Happening::Scarcity),
        1 => (0u32..5, 0u32..3).prop_map(|(a, b)| Happening::Reluctance(a, b)),
    ]
}

fn happen(init: &mut Init<'static, World>, happening: Happening) {
    let world = init.host;
    match happening {
        Happening::Line(line) => init.run_line(line),
        Happening::Garbage(bytes) => {
            // Any line, but none that starts with a command that ends everything.
            world.serial.borrow_mut().push_back(b'x');
            world.serial.borrow_mut().extend(bytes);
            world
                .bits
                .borrow_mut()
                .insert(world.serial_bit.get().unwrap());
        }
        Happening::Death(name, cause) => {
            if let Some(number) = process(world, name).filter(|number| world.runs(*number)) {
                world.fault(number, cause);
            }
        }
        Happening::Attach(name) => {
            let number = init
                .members
                .find(name)
                .and_then(|number| init.members.get(number));
            let running = number.filter(|member| {
                let phase = matches!(member.phase, Phase::Running { .. });
                phase && member.port.is_some() && init.driver.is_running()
            });
            if let Some(member) = running
                && let Ok(usage) = member.slots.bank.usage(world)
            {
                world.attach(usage.id, member.user.mac.bytes(), 70);
            }
        }
        Happening::Bit(bit) => {
            world.bits.borrow_mut().insert(bit);
        }
        Happening::Turns(turns) => {
            for _ in 0..turns {
                if !world.bits.borrow().is_empty()
                    || !init.work.is_empty()
                    || init.timers.next().is_some()
                {
                    init.turn();
                }
            }
        }
        Happening::Time(nanoseconds) => pass(init, nanoseconds),
        Happening::Scarcity(left) => {
            let limit = total(world) + left;
            world.banks.borrow_mut().get_mut(&PRIME_ID).unwrap().limit = limit;
        }
        Happening::Reluctance(ports, lost) => {
            world.reluctance.set(ports);
            world.lost.set(lost);
        }
    }
    let reserved: u64 = init
        .members
        .iter()
        .filter_map(|(_, m)| m.port)
        .map(|port| port.reserve)
        .sum();
    if init.driver.is_running() {
        assert_eq!(init.driver.reserved, reserved);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn everything_comes_back(happenings in prop::collection::vec(happening(), 0..40)) {
        let world = world();
        let mut init = start(world, "", TWO_USERS);
        for happening in happenings {
            happen(&mut init, happening);
        }
        // In the end there is plenty, everybody goes, and only the driver is left.
        world.banks.borrow_mut().get_mut(&PRIME_ID).unwrap().limit = OBJECTS;
        pass(&mut init, 400_000_000_000);
        prop_assert!(init.driver.is_running(), "{:?}", init.driver.phase);
        let names: Vec<String> =
            init.members.iter().map(|(_, member)| member.name().into()).collect();
        for name in names {
            init.run_line(&format!("revoke {name}"));
        }
        settle(&mut init);
        prop_assert!(init.members.iter().next().is_none());
        prop_assert!(world.ports.borrow().is_empty());
        prop_assert_eq!(limit(world, init.driver.bank), init.driver.base);
        // The banks that are left: the prime bank, the users', the driver's and the watchdog's.
        prop_assert_eq!(world.banks.borrow().len(), 4);
        let kernel = total(&World::new(Machine::with([])));
        let held = |bank: sys::Cap<sys::bank::Bank>| bank.usage(world).unwrap().bought;
        prop_assert_eq!(
            total(world),
            kernel + 3 + held(init.driver.bank) + held(init.watchdog.bank)
        );
    }
}
