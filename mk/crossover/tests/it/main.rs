//! Tests of the crossover study, over vectors that are only *expected* (`expected.csv`).

mod anchors;
mod driver;
mod expected;
mod profiles;
mod report;
mod study;
mod vectors;
