//! Programs that init looks after: when they die, why, and when they run again.

pub mod backoff;
pub mod report;
