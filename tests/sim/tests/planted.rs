//! That the simulator's checks bite: each fault that can be planted is found within a few runs.
//!
//! `cargo test -p sim --features planted --test planted`; one alone, with all that happens:
//! `cargo run -p sim --release --features planted -- --planted skip-flush`.

use kernel::planted::Fault;
use sim::plant::Plant;
use sim::scenario::Scenario;
use sim::world::Settings;

/// Runs within which a fault is found, in the scenario that is about it.
const RUNS: u64 = 12;
/// Steps of each.
const STEPS: u64 = 60_000;

/// Plays seeds until a fault is found.
fn is_found(fault: Fault, scenario: Scenario) {
    let found = (1..=RUNS).find_map(|seed| {
        let settings = Settings {
            steps: STEPS,
            plant: Some(Plant::Kernel(fault)),
            ..Settings::from_seed(seed)
        };
        let report = scenario.play(settings);
        report.failure.map(|failure| (seed, report.steps, failure))
    });
    match found {
        Some((seed, step, failure)) => {
            println!("{}: seed {seed}, step {step}: {failure}", fault.name());
        }
        None => panic!("{} was not found in {}", fault.name(), scenario.name()),
    }
}

/// A test for each fault: the name says what the kernel forgets.
macro_rules! found {
    ($($name:ident: $fault:ident in $($scenario:ident),+;)+) => {
        $(
            #[test]
            fn $name() {
                $(is_found(Fault::$fault, Scenario::$scenario);)+
            }
        )+

        #[test]
        fn every_fault_has_a_test() {
            let tested = [$(Fault::$fault),+];
            for fault in Fault::ALL {
                assert!(tested.contains(&fault), "{}", fault.name());
            }
        }
    };
}

found! {
    a_flush_that_is_skipped: SkipFlush in Storage, Ethernet;
    a_pinned_frame_that_is_freed: FreePinned in Storage;
    a_frame_that_is_zeroed_before_it_is_unpinned: ZeroPinned in Storage;
    a_frame_that_is_not_zeroed_when_it_is_unpinned: KeepContents in Storage;
    a_version_that_is_not_bumped: KeepVersion in Storage, Ethernet;
    a_page_that_stays_mapped: KeepHome in Storage, Ethernet;
    a_window_that_shows_what_was_unpinned: KeepWindow in Storage;
    an_orphan_of_which_nobody_is_told: LoseOrphan in Storage;
    an_exchange_without_a_flush: ExchangeUnflushed in Storage;
    an_exchange_of_what_another_function_pins: ExchangeForeign in Storage;
    an_exchange_without_the_right_to_write: ExchangeUnwritable in Storage;
    pins_that_go_with_the_pages: ExchangePins in Storage;
}
