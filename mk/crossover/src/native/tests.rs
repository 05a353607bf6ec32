//! Tests of what needs no quiet machine.

use super::*;

fn timing(work: Work, place: Place, bytes: u32, median: u64) -> Timing {
    Timing {
        work,
        place,
        bytes,
        ticks: Quartiles {
            low: median * 9 / 10,
            median,
            high: median * 11 / 10,
        },
    }
}

fn invented() -> Calibration {
    let mut timings = Vec::new();
    for place in Place::ALL {
        for bytes in SIZES {
            let copy = 200 + u64::from(bytes) / 4;
            timings.push(timing(Work::Copy(Method::Bytes), place, bytes, copy));
            timings.push(timing(Work::Copy(Method::Words), place, bytes, copy * 2));
            timings.push(timing(Work::Copy(Method::Library), place, bytes, copy * 3));
            timings.push(timing(Work::Read, place, bytes, copy * 9 / 10));
        }
    }
    Calibration {
        hertz: 2_000_000_000,
        cpu: "invented \"for\" a test".into(),
        timings,
    }
}

#[test]
fn a_profile_holds_the_fastest_copies_and_the_base_for_the_rest() {
    let base = Profile::named("sapphire-rapids").unwrap();
    let calibration = invented();
    assert_eq!(calibration.best(Place::Dram), Method::Bytes);
    let text = calibration.to_toml(&base).unwrap();
    let profile = Profile::parse("calibrated.toml", &text).unwrap();
    assert_eq!(profile, calibration.profile(&base).unwrap());
    assert_eq!(profile.origin, Origin::Calibrated);
    assert_eq!(profile.hertz, 2_000_000_000);
    let byte = profile.entry(Price::DramByte).unwrap();
    assert!((240..=260).contains(&byte.likely), "{byte:?}");
    assert_eq!(byte.source, Letter::M);
    let share = profile.entry(Price::ReadShare).unwrap();
    assert!((880..=920).contains(&share.likely), "{share:?}");
    assert_eq!(
        profile.entry(Price::Shootdown),
        base.entry(Price::Shootdown)
    );
}

#[test]
fn noise_is_told() {
    let base = Profile::named("sapphire-rapids").unwrap();
    let mut calibration = invented();
    assert!(!calibration.noisy());
    assert!(!calibration.to_toml(&base).unwrap().contains("TOO NOISY"));
    // One odd size isn't noise yet.
    calibration.timings[0].ticks.high *= 3;
    assert!(!calibration.noisy());
    for timing in calibration.timings.iter_mut().step_by(5) {
        timing.ticks.high *= 3;
    }
    assert!(calibration.noisy());
    assert!(calibration.to_toml(&base).unwrap().contains("TOO NOISY"));
}

#[test]
fn quartiles_are_found() {
    let quartiles = sampling::quartiles(&mut [5, 1, 4, 2, 3]);
    assert_eq!((quartiles.low, quartiles.median, quartiles.high), (2, 3, 4));
    assert_eq!(sampling::quartiles(&mut []).median, 0);
}

#[test]
fn copies_copy() {
    for bytes in [0, 1, 7, 8, 9, 63, 1514] {
        let source: Vec<u8> = (0..bytes).map(|index| index as u8).collect();
        for copy in [machine::copy_bytes, machine::copy_words] {
            let mut target = vec![0xff; bytes];
            copy(&mut target, &source);
            assert_eq!(target, source);
        }
        assert_eq!(machine::read(&source), machine::read(&source.clone()));
        machine::forget(&source);
    }
}

#[test]
fn this_machine_can_be_calibrated_or_says_why_not() {
    match calibrate(9) {
        Ok(calibration) => {
            let base = Profile::named("sapphire-rapids").unwrap();
            let text = calibration.to_toml(&base).unwrap();
            assert!(Profile::parse("calibrated.toml", &text).is_ok(), "{text}");
            let works = Method::ALL.len() + 1;
            assert_eq!(
                calibration.timings.len(),
                works * Place::ALL.len() * SIZES.len()
            );
            println!("{text}");
        }
        Err(error) => assert_eq!(error, Error::Unavailable),
    }
}
