//! Users who buy all that they can get leave the system what it needs.

use super::*;

/// Two users who may hold all of the machine's memory each.
const GREEDY: &str =
    "[[user]]\nname = 'alice'\nbank = 16384\n[[user]]\nname = 'bob'\nbank = 16384\n";

fn bank(init: &Init<'static, World>, name: &str) -> u64 {
    member(init, name).slots.bank.usage(init.host).unwrap().id
}

#[test]
fn users_together_can_not_buy_what_driver_and_init_need() {
    let world = world();
    let mut init = start(world, "", GREEDY);
    assert!(is_running(&init, "alice") && is_running(&init, "bob"));
    assert!(world.exhaust(bank(&init, "alice")) > 1000);
    assert_eq!(world.exhaust(bank(&init, "bob")), 0, "they share");
    // The driver can still have all that its bank may hold, and init some.
    let driver = init.driver.bank.usage(world).unwrap();
    assert_eq!(world.exhaust(driver.id), driver.limit - driver.bought);
    assert!(world.exhaust(PRIME_ID) >= 256);
    // Nobody else comes, and it is said why.
    let shown = type_line(&mut init, "spawn carol\r");
    assert!(
        shown.contains("user carol: making its bank: there is no room for it: at least"),
        "{shown}"
    );
    assert!(
        shown.contains("pages are needed, and users left 0 of the"),
        "{shown}"
    );
    assert!(shown.contains("or revoke a user"), "{shown}");
    assert!(init.members.find("carol").is_none());
    // Who goes makes room.
    type_line(&mut init, "revoke alice\r");
    let shown = type_line(&mut init, "spawn carol\r");
    assert!(is_running(&init, "carol"), "{shown}");
}

#[test]
fn what_is_set_aside_for_ports_is_not_the_users_to_share() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let reserve = |init: &Init<'static, World>| {
        let reserves = init.members.iter().map(|(_, member)| member.plan.reserve);
        reserves.sum::<u64>()
    };
    let with_two = limit(world, init.share.bank);
    assert_eq!(with_two, init.share.most - reserve(&init));
    type_line(&mut init, "spawn carol\r");
    let with_three = limit(world, init.share.bank);
    assert_eq!(with_three, init.share.most - reserve(&init));
    assert!(with_three < with_two);
    type_line(&mut init, "revoke carol\r");
    assert_eq!(limit(world, init.share.bank), with_two);
}

#[test]
fn banks_shows_what_users_hold_together() {
    let mut init = start(world(), "", TWO_USERS);
    let shown = type_line(&mut init, "banks\r");
    assert!(
        shown.contains("\n  users")
            && shown.contains("\n    alice")
            && shown.contains("\n      port"),
        "{shown}"
    );
    assert!(!shown.contains("more)"), "{shown}");
}
