//! Campaigns of the simulator.
fn main() {
    let seed = std::env::args()
        .nth(1)
        .and_then(|s| s.parse().ok())
        .unwrap_or(1);
    let count: u64 = std::env::args()
        .nth(2)
        .and_then(|s| s.parse().ok())
        .unwrap_or(1);
    let steps: u64 = std::env::args()
        .nth(3)
        .and_then(|s| s.parse().ok())
        .unwrap_or(100_000);
    let begin = std::time::Instant::now();
    let mut total = 0;
    for seed in seed..seed + count {
        let mut settings = sim::world::Settings::from_seed(seed);
        settings.steps = steps;
        settings.live = std::env::var("LIVE").is_ok();
        let report = sim::scenario::Scenario::Storage.play(settings);
        total += report.steps;
        if report.failure.is_some() || count == 1 {
            println!("{report} over {}", report.over);
        }
        if report.failure.is_some() {
            break;
        }
    }
    let s = begin.elapsed().as_secs_f64();
    println!("{total} steps in {s:.2}: {:.0}/s", total as f64 / s);
}
