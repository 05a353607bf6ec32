//! Files that `make crossover` reads: counts, and prices of processors.

use std::path::Path;

use crossover::profile::Profile;
use crossover::vectors::Vectors;

use crate::Target;

/// The target.
pub const TARGET: Target = Target {
    name: "study",
    about: "counts and profiles of the crossover study",
    run,
    seeds,
};

fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(vectors) = Vectors::parse("fuzz", text) {
        let written = vectors.to_csv().expect("what was read can be written");
        let again = Vectors::parse("fuzz", &written).expect("what was written can be read");
        assert_eq!(vectors.rows().len(), again.rows().len());
        let _ = (vectors.batches(), vectors.cpus(), vectors.iommus());
    }
    if let Ok(profile) = Profile::parse("fuzz", text) {
        let _ = (profile.ranges(), profile.title());
        let written = profile.to_toml("");
        Profile::parse("fuzz", &written).expect("what was written can be read");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../mk/crossover/profiles");
    let mut seeds = vec![b"strategy,size\ncopy,64\n".to_vec()];
    let Ok(files) = folder.read_dir() else {
        return seeds;
    };
    for file in files.flatten() {
        seeds.extend(std::fs::read(file.path()));
    }
    seeds.sort();
    seeds
}
