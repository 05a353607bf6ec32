//! What is typed is answered.

use super::*;

/// The row of a table that begins with a name.
fn row<'t>(table: &'t str, name: &str) -> &'t str {
    let mut rows = table.lines().map(str::trim_start);
    rows.find(|line| line.starts_with(name))
        .unwrap_or_else(|| panic!("no row {name}: {table}"))
}

#[test]
fn every_command_answers() {
    let world = world();
    let line = "forwards=tcp:8081:10.0.2.21:80,udp:7001:10.0.2.21:7";
    let mut init = start(world, line, TWO_USERS);
    let shown = type_line(&mut init, "help\r");
    assert!(shown.contains("spawn NAME"), "{shown}");
    let shown = type_line(&mut init, "users\r");
    assert!(
        shown.contains("alice") && shown.contains("10.0.2.21/24") && shown.contains("up for 0 s")
    );
    let shown = type_line(&mut init, "banks\r");
    assert!(
        shown.contains("prime (init)") && shown.contains("\n  ethdrv"),
        "{shown}"
    );
    assert!(shown.contains("high-water"), "{shown}");
    let shown = type_line(&mut init, "ps\r");
    assert!(
        shown.contains("netstack") && shown.contains("(the rest)"),
        "{shown}"
    );
    let spacebank: Vec<&str> = row(&shown, "spacebank").split_whitespace().collect();
    assert_eq!(spacebank[1..3], ["spacebank", "60"]);
    assert_eq!(spacebank[5..], ["777", "3", "-", "waits"], "{shown}");
    let shown = type_line(&mut init, "net\r");
    assert!(
        shown.contains("frames in") && shown.contains("The card: 52:54:00"),
        "{shown}"
    );
    let shown = type_line(&mut init, "ports\r");
    assert!(
        shown.contains("tcp 10.0.2.21 port 80") && shown.contains("127.0.0.1:8081"),
        "{shown}"
    );
    assert!(
        shown.contains("udp 10.0.2.21 port 7") && shown.contains("127.0.0.1:7001"),
        "{shown}"
    );
    assert!(shown.contains("an address from DHCP"), "{shown}");
    let shown = type_line(&mut init, "log debug\r");
    assert!(shown.contains("Lines up to debug are shown."), "{shown}");
    assert_eq!(world.level.get(), 4);
    type_line(&mut init, "reboot\r");
    assert_eq!(world.happened.borrow().last().unwrap(), "reboot");
}

#[test]
fn wrong_commands_say_what_is_right() {
    let mut init = start(world(), "", TWO_USERS);
    assert!(type_line(&mut init, "spwan carol\r").contains("Did you mean: spawn NAME"));
    assert!(type_line(&mut init, "revoke alcie\r").contains("did you mean alice?"));
    assert!(type_line(&mut init, "revoke zzz\r").contains("there are alice bob"));
    assert!(type_line(&mut init, "kill ethdvr\r").contains("did you mean ethdrv?"));
    assert!(type_line(&mut init, "kill init\r").contains("that is who you are talking to"));
    assert!(type_line(&mut init, "kill spacebank\r").contains("nothing could go on without it"));
}

#[test]
fn killed_programs_come_back() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let shown = type_line(&mut init, "kill alice\r");
    assert!(
        shown.contains("It is supervised, so it is started again"),
        "{shown}"
    );
    assert!(type_line(&mut init, "kill alice\r").contains("it isn't running"));
    pass(&mut init, 1_000_000_000);
    assert!(is_running(&init, "alice"));
    world.happened.borrow_mut().clear();
    let shown = type_line(&mut init, "kill ethdrv\r");
    assert!(shown.contains("Its device is reset"), "{shown}");
    pass(&mut init, 2_000_000_000);
    assert!(init.driver.is_running() && is_running(&init, "alice"));
}

#[test]
fn names_are_completed() {
    let mut init = start(world(), "", TWO_USERS);
    let shown = type_line(&mut init, "revoke al\t");
    assert!(
        shown.ends_with("usufruct> revoke alice \x1b[K"),
        "{shown:?}"
    );
    let shown = type_line(&mut init, "\x15kill \t");
    assert!(
        shown.contains("alice  bob  ethdrv  watchdog  \r\n"),
        "{shown:?}"
    );
}

#[test]
fn the_prompt_comes_back_after_a_log_line() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    type_line(&mut init, "ban");
    world.console.borrow_mut().clear();
    let bit = world.log_bit.get().unwrap();
    world.bits.borrow_mut().insert(bit);
    settle(&mut init);
    let shown = String::from_utf8(world.console.borrow().clone()).unwrap();
    assert_eq!(shown, "\rusufruct> ban\x1b[K");

    // Many lines, and a key before the line is drawn again: it is drawn once, with the key behind.
    world.console.borrow_mut().clear();
    for _ in 0..5 {
        world.bits.borrow_mut().insert(bit);
        init.turn();
    }
    assert!(world.console.borrow().is_empty());
    let shown = type_line(&mut init, "k");
    assert_eq!(shown, "\rusufruct> ban\x1b[Kk");
}

#[test]
fn a_strategy_is_shown_and_changed_and_kept_over_the_drivers_death() {
    use dev::settings::{OWN_THRESHOLD, Strategy};
    let world = world();
    let manifest = "[spawn]\nstrategy = 'flip'\npinning = 'frame'\n\
                    [[user]]\nname = 'alice'\nstrategy = 'hybrid'\nsealed = true\n";
    let mut init = start(world, "", manifest);
    let settings = |init: &Init<'static, World>, name| {
        let number = member(init, name).port.unwrap().number;
        world.ports.borrow()[&number].settings
    };
    let receive = settings(&init, "alice").receive;
    assert_eq!(receive.strategy, Strategy::Hybrid);
    assert!(receive.threshold == OWN_THRESHOLD && receive.sealed);
    let shown = type_line(&mut init, "strategy alice\r");
    assert!(
        shown.contains("alice receives by hybrid sealed (from which length on, the driver chose"),
        "{shown}"
    );
    let shown = type_line(&mut init, "net\r");
    assert!(
        shown.contains("hybrid sealed") && shown.contains("hybrid flips from 1234 bytes on"),
        "{shown}"
    );
    let shown = type_line(&mut init, "strategy alice hybrid(700) open\r");
    assert!(
        shown.contains("alice receives by hybrid(700) from now on."),
        "{shown}"
    );
    let receive = settings(&init, "alice").receive;
    assert!(receive.threshold == 700 && !receive.sealed);
    // What a new driver gets.
    type_line(&mut init, "kill ethdrv\r");
    let shown = type_line(&mut init, "strategy alice sealed\r");
    assert!(shown.contains("hybrid(700) sealed from now on"), "{shown}");
    pass(&mut init, 2_000_000_000);
    let receive = settings(&init, "alice").receive;
    assert!(receive.threshold == 700 && receive.sealed);
    // What is refused changes nothing.
    world.no_flips.set(true);
    let shown = type_line(&mut init, "strategy alice flip\r");
    assert!(
        shown.contains("user alice: receiving by flip sealed: "),
        "{shown}"
    );
    assert!(type_line(&mut init, "strategy alice\r").contains("hybrid(700) sealed"));
    assert!(type_line(&mut init, "strategy alcie\r").contains("did you mean alice?"));
    type_line(&mut init, "spawn carol\r");
    let carol = settings(&init, "carol");
    assert_eq!(carol.receive.strategy, Strategy::Flip);
    assert_eq!(carol.pinning, dev::settings::Pinning::Frame);
}

#[test]
fn a_name_that_is_taken_is_not_called_an_option() {
    let mut init = start(world(), "", TWO_USERS);
    let shown = type_line(&mut init, "spawn alice\r");
    assert!(
        shown.contains("user alice: there is a user alice already"),
        "{shown}"
    );
    assert!(!shown.contains("--name"), "{shown}");
}

#[test]
fn a_bank_beyond_the_machines_memory_is_warned_about() {
    let mut init = start(world(), "", TWO_USERS);
    assert!(!logged().contains("more than the machine's"));
    type_line(&mut init, "spawn carol --bank 1000000\r");
    let said = logged();
    assert!(
        said.contains("user carol: a bank of 1000000 pages is more than the machine's"),
        "{said}"
    );
}

#[test]
fn users_says_where_to_find_an_address_from_dhcp() {
    let mut init = start(world(), "", TWO_USERS);
    assert!(type_line(&mut init, "users\r").contains("tells the log which it got"));
}

#[test]
fn output_that_a_slow_console_does_not_take_is_sent_later() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    let whole = type_line(&mut init, "help\r");
    world.console_refuses.set(7);
    assert_eq!(type_line(&mut init, "help\r"), whole);
    assert_eq!(world.console_refuses.get(), 0);
}

#[test]
fn output_that_a_console_never_takes_is_counted_and_not_kept() {
    let world = world();
    let mut init = start(world, "", TWO_USERS);
    world.console_refuses.set(u32::MAX);
    let line = "x".repeat(78);
    for _ in 0..4000 {
        init.terminal.print(world, &line);
    }
    world.console_refuses.set(0);
    let shown = type_line(&mut init, "\r");
    assert!(shown.len() > 200_000 && shown.len() < 300_000);
    assert!(shown.contains("bytes of output were lost: the console is too slow"));
    let (_, last) = shown.rsplit_once("too slow").unwrap();
    assert!(last.contains("usufruct> "), "{last:?}");
}
