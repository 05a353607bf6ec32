//! Tests of the crossover study, over vectors that are only *expected* (`expected.csv`).

mod anchors;
mod expected;
mod profiles;
mod report;
mod study;
mod vectors;
