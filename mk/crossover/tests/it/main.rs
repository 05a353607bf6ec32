//! Tests of the crossover study, over vectors that are only *expected* (`expected.csv`).

mod anchors;
mod expected;
mod profiles;
mod study;
mod vectors;
