//! Progress of long steps: a spinner on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A step under way. Dropping it without [`Step::done`] leaves no trace on a terminal.
#[derive(Debug)]
pub struct Step {
    title: String,
    start: Instant,
    bar: Option<ProgressBar>,
}

impl Step {
    /// Starts a step.
    pub fn start(title: impl Into<String>) -> Step {
        let title = title.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner().with_message(title.clone());
            bar.set_style(style());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        if bar.is_none() {
            eprintln!("mk: {title} ...");
        }
        Step {
            title,
            start: Instant::now(),
            bar,
        }
    }

    /// Starts a step that has so many parts: a bar on a terminal.
    pub fn counted(title: impl Into<String>, parts: u64) -> Step {
        let step = Step::start(title);
        if let Some(bar) = &step.bar {
            bar.set_length(parts);
            bar.set_style(counted());
        }
        step
    }

    /// So many parts are done; and what there is to say.
    pub fn reach(&self, done: u64, detail: impl AsRef<str>) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
        self.say(detail);
    }

    /// Says what the step is at; shown on a terminal only, where it takes the place of what was
    /// said before.
    pub fn say(&self, detail: impl AsRef<str>) {
        if let Some(bar) = &self.bar {
            let detail: String = detail.as_ref().chars().take(80).collect();
            bar.set_message(format!("{}: {detail}", self.title));
        }
    }

    /// Ends the step, and says how long it took if it was long.
    pub fn done(self) {
        self.end("done");
    }

    /// Ends the step with a word for how it ended.
    pub fn end(self, word: &str) {
        let seconds = self.start.elapsed().as_secs_f64();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.bar.is_none() || seconds >= 1.0 || word != "done" {
            eprintln!("mk: {}: {word} ({seconds:.1} s)", self.title);
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn counted() -> ProgressStyle {
    // As below.
    ProgressStyle::with_template("{spinner} [{bar:24}] {pos}/{len} {wide_msg} {elapsed}")
        .map_or_else(
            |_| ProgressStyle::default_bar(),
            |style| style.progress_chars("=> "),
        )
}

fn style() -> ProgressStyle {
    // The template is a constant; if a later version of indicatif refuses it, its default serves.
    ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}
