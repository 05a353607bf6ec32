//! All targets, over their seeds, over seeds that were changed, and over what once made one fail.
//!
//! What libFuzzer finds goes into `corpus/TARGET`, and stays there.

use std::path::Path;

use fuzz::{TARGETS, Target};
use invocations::Sequence;

/// How often each seed is changed.
const CHANGED: u64 = if cfg!(miri) { 2 } else { 300 };

/// The bytes of a file, or a seed, changed here and there: bits, bytes, lengths, pieces of others.
fn change(seed: &[u8], other: &[u8], sequence: &mut Sequence) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=sequence.below(4) {
        let at = sequence.below(bytes.len().max(1) as u32) as usize;
        match (sequence.below(8), bytes.get_mut(at)) {
            (0, Some(byte)) => *byte = 0xff,
            (1, Some(byte)) => *byte = 0,
            (2, Some(byte)) => *byte ^= 1 << sequence.below(8),
            (3, Some(byte)) => *byte = sequence.word() as u8,
            (4, _) => bytes.truncate(at),
            (5, _) => drop(bytes.splice(at..at, other.iter().copied().take(64))),
            (6, Some(_)) => drop(bytes.remove(at)),
            _ => bytes.push(sequence.word() as u8),
        }
    }
    bytes
}

fn stored(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name);
    let Ok(files) = folder.read_dir() else {
        return Vec::new();
    };
    let read = |file: std::io::Result<std::fs::DirEntry>| std::fs::read(file?.path());
    files
        .map(|file| read(file).expect("it can be read"))
        .collect()
}

#[test]
fn every_target_comes_back_whatever_it_gets() {
    for (number, target) in TARGETS.iter().enumerate() {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        (target.run)(b"");
        for bytes in stored(target).iter().chain(&seeds) {
            (target.run)(bytes);
        }
        let mut sequence = Sequence::new(number as u64);
        for _ in 0..CHANGED {
            for seed in &seeds {
                let other = &seeds[sequence.below(seeds.len() as u32) as usize];
                (target.run)(&change(seed, other, &mut sequence));
            }
        }
    }
}

#[test]
fn names_are_one_to_one() {
    for target in TARGETS {
        let same = TARGETS.iter().filter(|other| other.name == target.name);
        assert_eq!(same.count(), 1, "{}", target.name);
        assert!(Target::named(target.name).is_some());
    }
    assert!(Target::named("moon").is_none());
}
