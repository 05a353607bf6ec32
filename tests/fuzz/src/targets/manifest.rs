//! The manifest that says who the users are, and the users that the console names.

use init::manifest::Manifest;
use manifest::UserSpec;

use crate::Target;

/// The target.
pub const TARGET: Target = Target {
    name: "manifest",
    about: "manifests, and users named at the console",
    run,
    seeds,
};

fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let spec = UserSpec::parse(&words);
    match Manifest::parse(text) {
        Ok(manifest) => {
            let rendered = manifest.render().expect("what was read can be written");
            let again = Manifest::parse(&rendered).expect("what was written can be read");
            assert_eq!(manifest, again);
            if let Ok(spec) = spec {
                let _ = spec.into_user(&manifest, &manifest.user);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        "",
        "dave",
        "dave mac=02:00:00:00:00:09 ipv4=10.0.2.30/24 bank=2000 receive=hybrid:600 sealed",
    ]
    .map(Vec::from)
    .into();
    for users in [1, 3] {
        let user = |n: u32| {
            format!(
                "[[user]]\nname = \"u{n}\"\nmac = \"02:00:00:00:00:{n:02x}\"\n\
                 ipv4 = \"10.0.2.{n}/24\"\n"
            )
        };
        seeds.push((1..=users).map(user).collect::<String>().into());
    }
    seeds
}
