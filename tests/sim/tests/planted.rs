//! That the simulator's checks bite: each fault that can be planted is found within a few runs.
//!
//! `cargo test -p sim --features planted --test planted`; one alone, with all that happens:
//! `cargo run -p sim --release --features planted -- --planted skip-flush`.

use ethdrv::planted::Fault as DriverFault;
use kernel::planted::Fault;
use sim::plant::Plant;
use sim::scenario::Scenario;
use sim::world::Settings;

/// Runs within which a fault is found, in the scenario that is about it.
const RUNS: u64 = 12;
/// Steps of each.
const STEPS: u64 = 60_000;

/// Plays seeds until a fault is found.
fn is_found(plant: Plant, scenario: Scenario) {
    let found = (1..=RUNS).find_map(|seed| {
        let settings = Settings {
            steps: STEPS,
            plant: Some(plant),
            ..Settings::from_seed(seed)
        };
        let report = scenario.play(settings);
        report.failure.map(|failure| (seed, report.steps, failure))
    });
    match found {
        Some((seed, step, failure)) => {
            println!("{}: seed {seed}, step {step}: {failure}", plant.name());
        }
        None => panic!("{} was not found in {}", plant.name(), scenario.name()),
    }
}

/// A test for each fault: the name says what the kernel forgets.
macro_rules! found {
    ($($name:ident: $kind:ident($fault:expr) in $($scenario:ident),+;)+) => {
        $(
            #[test]
            fn $name() {
                $(is_found(Plant::$kind($fault), Scenario::$scenario);)+
            }
        )+

        #[test]
        fn every_fault_has_a_test() {
            let tested = [$(Plant::$kind($fault)),+];
            let machine = |plant: &Plant| Plant::MACHINE.contains(plant);
            for plant in Plant::all().into_iter().filter(|plant| !machine(plant)) {
                assert!(tested.contains(&plant), "{}", plant.name());
            }
        }
    };
}

found! {
    a_flush_that_is_skipped: Kernel(Fault::SkipFlush) in Storage, Ethernet;
    a_pinned_frame_that_is_freed: Kernel(Fault::FreePinned) in Storage;
    a_frame_that_is_zeroed_before_it_is_unpinned: Kernel(Fault::ZeroPinned) in Storage;
    a_frame_that_is_not_zeroed_when_it_is_unpinned: Kernel(Fault::KeepContents) in Storage;
    a_version_that_is_not_bumped: Kernel(Fault::KeepVersion) in Storage, Ethernet;
    a_page_that_stays_mapped: Kernel(Fault::KeepHome) in Storage, Ethernet;
    a_window_that_shows_what_was_unpinned: Kernel(Fault::KeepWindow) in Storage;
    an_orphan_of_which_nobody_is_told: Kernel(Fault::LoseOrphan) in Storage;
    an_exchange_without_a_flush: Kernel(Fault::ExchangeUnflushed) in Storage;
    an_exchange_of_what_another_function_pins: Kernel(Fault::ExchangeForeign) in Storage;
    an_exchange_without_the_right_to_write: Kernel(Fault::ExchangeUnwritable) in Storage;
    pins_that_go_with_the_pages: Kernel(Fault::ExchangePins) in Storage;
    an_entry_that_grants_more_than_the_capability: Kernel(Fault::MapAnyhow) in Invocations;
    a_capability_that_is_put_with_all_rights: Kernel(Fault::PutAllRights) in Invocations;
    a_table_that_is_reached_without_managing_it: Kernel(Fault::ReachUnmanaged) in Invocations;
    a_start_that_names_another_process: Kernel(Fault::StartOther) in Invocations;
    frames_that_are_told_before_they_are_exchanged: Driver(DriverFault::PublishEarly) in Ethernet;
    a_page_that_is_not_cleared_for_who_is_sealed: Driver(DriverFault::SkipClear) in Ethernet;
    a_page_that_is_posted_while_it_is_read: Driver(DriverFault::PostDelivered) in Ethernet;
    a_slot_that_is_taken_for_its_former_owners: Driver(DriverFault::ForgetOwner) in Ethernet;
    slots_that_stay_taken_after_a_session: Driver(DriverFault::KeepSlots) in Accounting;
    a_segment_that_is_not_sold_after_a_session: Driver(DriverFault::KeepSegment) in Accounting;
}
