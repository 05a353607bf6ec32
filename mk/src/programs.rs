//! What is built for the bare target. A package is one line here; its programs are the `[[bin]]`s
//! with `required-features = ["bare"]` of its Cargo.toml.

use anyhow::{Result, bail};
use serde_json::Value;

use crate::checkout::Checkout;

/// What a package's programs are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The kernel: QEMU loads it.
    Kernel,
    /// A part of the system: in every boot archive, as `bin/NAME`.
    System,
    /// Only for tests and benches: in the archives that ask for it.
    Guest,
}

/// A package with bare-metal programs.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    /// Its name.
    pub name: &'static str,
    /// What its programs are for.
    pub role: Role,
}

/// Packages with bare-metal programs.
pub const PACKAGES: &[Package] = &[
    Package {
        name: "kernel",
        role: Role::Kernel,
    },
    Package {
        name: "spacebank",
        role: Role::System,
    },
    Package {
        name: "init",
        role: Role::System,
    },
    Package {
        name: "ethdrv",
        role: Role::System,
    },
    Package {
        name: "copier",
        role: Role::System,
    },
    Package {
        name: "netstack",
        role: Role::System,
    },
    Package {
        name: "guest",
        role: Role::Guest,
    },
];

/// Libraries that the programs are made of: linted for the bare target besides the packages above.
pub const LIBRARIES: &[&str] = &[
    "abi",
    "sys",
    "rt",
    "ring",
    "virtio",
    "dev",
    "manifest",
    "costmodel",
];

/// The cargo feature that makes a package's programs be built.
pub const FEATURE: &str = "bare";

/// A program to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name: the `[[bin]]`'s.
    pub name: String,
    /// The package that it is of.
    pub package: String,
    /// What it is for.
    pub role: Role,
}

/// The programs that there are, and a note for each package that has none yet.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    /// The programs, in the order of [`PACKAGES`].
    pub programs: Vec<Program>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

impl Programs {
    /// Finds the programs in the checkout.
    ///
    /// # Errors
    /// Two programs have the same name.
    pub fn find(checkout: &Checkout) -> Result<Programs> {
        let mut found = Programs::default();
        for package in PACKAGES {
            let programs = checkout
                .package(package.name)
                .map_or(Vec::new(), bare_programs);
            if programs.is_empty() {
                let note = format!(
                    "{}: no program with the feature {FEATURE} yet",
                    package.name
                );
                found.notes.push(note);
            }
            for name in programs {
                if let Some(other) = found.programs.iter().find(|program| program.name == name) {
                    bail!(
                        "{} and {} both have a program {name}",
                        other.package,
                        package.name
                    );
                }
                let package_name = package.name.to_string();
                found.programs.push(Program {
                    name,
                    package: package_name,
                    role: package.role,
                });
            }
        }
        Ok(found)
    }

    /// Those of some packages alone.
    pub fn only(mut self, packages: &[&str]) -> Programs {
        self.programs
            .retain(|program| packages.contains(&&program.package[..]));
        self.notes.clear();
        self
    }

    /// The packages that have programs.
    pub fn packages(&self) -> Vec<&str> {
        let mut packages: Vec<&str> = self
            .programs
            .iter()
            .map(|program| &program.package[..])
            .collect();
        packages.dedup();
        packages
    }

    /// cargo's arguments that select the packages and turn their programs on, and these features.
    pub fn selection(&self, features: &[&str]) -> Vec<String> {
        let packages = self.packages();
        let mut arguments: Vec<String> = packages
            .iter()
            .flat_map(|name| ["-p".to_string(), name.to_string()])
            .collect();
        let features: Vec<String> = packages
            .iter()
            .flat_map(|name| {
                let all = [FEATURE].into_iter().chain(features.iter().copied());
                all.map(move |feature| format!("{name}/{feature}"))
            })
            .collect();
        arguments.extend(["--features".to_string(), features.join(",")]);
        arguments
    }
}

fn bare_programs(package: &Value) -> Vec<String> {
    if package["features"].get(FEATURE).is_none() {
        return Vec::new();
    }
    let targets = package["targets"].as_array().map_or(&[][..], Vec::as_slice);
    let is_bin = |target: &&Value| {
        let has = |list: &Value, word: &str| {
            list.as_array()
                .is_some_and(|words| words.iter().any(|other| other == word))
        };
        has(&target["kind"], "bin") && has(&target["required-features"], FEATURE)
    };
    let names = targets
        .iter()
        .filter(is_bin)
        .filter_map(|target| target["name"].as_str());
    names.map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bins_that_require_the_feature_are_programs() {
        let package = serde_json::json!({
            "features": { "bare": [] },
            "targets": [
                { "kind": ["lib"], "name": "x" },
                { "kind": ["bin"], "name": "tool" },
                { "kind": ["bin"], "name": "x", "required-features": ["bare"] },
                { "kind": ["bin"], "name": "y", "required-features": ["other"] },
            ],
        });
        assert_eq!(bare_programs(&package), ["x"]);
        let without = serde_json::json!({ "features": {}, "targets": package["targets"] });
        assert!(bare_programs(&without).is_empty());
    }

    #[test]
    fn packages_are_selected_once_with_their_feature() {
        let program = |name: &str, package: &str| Program {
            name: name.into(),
            package: package.into(),
            role: Role::Guest,
        };
        let programs = vec![
            program("a", "kernel"),
            program("b", "guest"),
            program("c", "guest"),
        ];
        let found = Programs {
            programs,
            notes: Vec::new(),
        };
        assert_eq!(
            found.selection(&[]),
            [
                "-p",
                "kernel",
                "-p",
                "guest",
                "--features",
                "kernel/bare,guest/bare"
            ]
        );
        assert_eq!(
            found.only(&["guest"]).selection(&["more"]),
            ["-p", "guest", "--features", "guest/bare,guest/more"]
        );
    }
}
