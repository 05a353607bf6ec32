//! What the study says of expected vectors: the conclusions of the page of published costs.

use costmodel::{Source, Touched};
use crossover::profile::Profile;
use crossover::study::{Cell, Study};
use crossover::vectors::{Iommu, Strategy, Vectors};

use crate::expected;

const CELL: Cell = Cell {
    flip: Strategy::Exchange,
    batch: 32,
    touched: Touched::None,
    source: Source::Dram,
    cpus: 1,
    iommu: Iommu::Off,
};

pub fn study() -> Study {
    Study::new(expected::vectors(), Profile::built_in().unwrap()).unwrap()
}

fn likely(study: &Study, cpu: &str, cell: Cell) -> Option<u32> {
    let profile = study.profiles().iter().position(|one| one.name == cpu);
    let answer = study.answer(profile.expect(cpu), &cell).unwrap();
    println!("{cpu} {cell:?}: {}", answer.band);
    answer.band.likely
}

#[test]
fn flipping_never_pays_for_one_page_in_the_cache_of_a_modern_server() {
    let study = study();
    for cpu in [
        "Sapphire/Emerald Rapids",
        "Skylake-SP",
        "Zen 4 with INVLPGB",
    ] {
        for batch in [1, 8, 32] {
            let cell = Cell {
                batch,
                source: Source::Cache,
                ..CELL
            };
            let from = likely(&study, cpu, cell);
            assert!(
                from.is_none_or(|size| size > 3800),
                "{cpu} {batch}: {from:?}"
            );
        }
    }
}

#[test]
fn untouched_data_in_memory_pays_in_batches_only() {
    let study = study();
    for cpu in ["Sapphire/Emerald Rapids", "Skylake-SP"] {
        let batched = likely(&study, cpu, CELL).unwrap();
        assert!((500..2000).contains(&batched), "{cpu}: {batched}");
        let alone = likely(&study, cpu, Cell { batch: 1, ..CELL });
        assert!(
            alone.is_none_or(|size| size > 2 * batched),
            "{cpu}: {alone:?}"
        );
        let shared = likely(&study, cpu, Cell { cpus: 2, ..CELL });
        assert!(
            shared.is_none_or(|size| size > batched),
            "{cpu}: {shared:?}"
        );
    }
}

#[test]
fn a_strict_iommu_makes_copying_better_for_large_frames_too() {
    let study = study();
    let cpu = "Sapphire/Emerald Rapids";
    let strict = likely(
        &study,
        cpu,
        Cell {
            iommu: Iommu::Strict,
            ..CELL
        },
    );
    let lazy = likely(
        &study,
        cpu,
        Cell {
            iommu: Iommu::Lazy,
            ..CELL
        },
    );
    let fixed = likely(
        &study,
        cpu,
        Cell {
            iommu: Iommu::Static,
            ..CELL
        },
    );
    let off = likely(&study, cpu, CELL);
    let end = u32::MAX;
    assert!(strict.unwrap_or(end) > 4096);
    assert!(lazy.unwrap_or(end) > off.unwrap_or(end));
    assert!(strict.unwrap_or(end) >= lazy.unwrap_or(end));
    assert_eq!(fixed, off);
}

#[test]
fn sealing_costs_what_it_zeroes() {
    let study = study();
    let cpu = "Skylake-SP";
    let plain = likely(&study, cpu, CELL);
    let sealed = likely(
        &study,
        cpu,
        Cell {
            flip: Strategy::Sealed,
            ..CELL
        },
    );
    assert!(sealed.unwrap_or(u32::MAX) > plain.unwrap_or(u32::MAX));
}

#[test]
fn bands_enclose_what_is_likely() {
    for answer in study().answers() {
        let band = answer.band;
        let [earliest, likely, latest] =
            [band.earliest, band.likely, band.latest].map(|size| size.unwrap_or(u32::MAX));
        assert!(earliest <= likely && likely <= latest, "{answer:?}");
    }
}

#[test]
fn machines_without_an_iommu_are_asked_about_none() {
    let study = study();
    for answer in study.answers() {
        let profile = &study.profiles()[answer.profile];
        assert!(profile.iommu || answer.cell.iommu == Iommu::Off);
    }
}

#[test]
fn nothing_to_compare_is_said() {
    let rows: Vec<_> = expected::vectors().rows().to_vec();
    let copies = rows
        .into_iter()
        .filter(|row| row.strategy == Strategy::Copy);
    let copies = Vectors::new("copies", copies.collect()).unwrap();
    let error = Study::new(copies, Profile::built_in().unwrap()).unwrap_err();
    assert!(error.to_string().contains("nothing to compare"), "{error}");
    let error = Study::new(expected::vectors(), Vec::new()).unwrap_err();
    assert!(error.to_string().contains("at least one"), "{error}");
}
