//! Programs that can be stopped anywhere and go on later: each on a stack of its own.
//!
//! An actor is straight Rust code, the very code that runs in the real system; what it calls pauses it.
//! A fiber that is dropped is unwound, so that what it holds is freed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

#[cfg(not(miri))]
use stack as backend;
#[cfg(miri)]
use thread as backend;

pub use backend::Pause;

/// What became of a fiber that was let run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It paused.
    Paused,
    /// It came to its end.
    Finished,
    /// It panicked, with this message.
    Panicked(String),
}

/// What a fiber is told when it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    Continue,
    Cancel,
}

/// Unwinds a fiber.
struct Cancelled;

/// A program that can be stopped.
pub struct Fiber {
    running: backend::Running,
    outcome: Outcome,
}

impl Fiber {
    /// A fiber that will run `body`, which pauses by what it is given.
    pub fn new(body: impl FnOnce(Pause) + 'static) -> Fiber {
        Fiber {
            running: backend::Running::new(move |pause| {
                match catch_unwind(AssertUnwindSafe(|| body(pause))) {
                    Ok(()) => Outcome::Finished,
                    Err(payload) if payload.is::<Cancelled>() => Outcome::Finished,
                    Err(payload) => Outcome::Panicked(message(&*payload)),
                }
            }),
            outcome: Outcome::Paused,
        }
    }

    /// Lets it run until it pauses, or ends.
    pub fn resume(&mut self) -> &Outcome {
        if self.outcome == Outcome::Paused {
            self.outcome = self.running.resume(Wake::Continue);
        }
        &self.outcome
    }

    /// Whether it has begun and not ended.
    fn is_under_way(&self) -> bool {
        self.outcome == Outcome::Paused && self.running.has_begun()
    }
}

impl Drop for Fiber {
    fn drop(&mut self) {
        if self.is_under_way() {
            let outcome = self.running.resume(Wake::Cancel);
            debug_assert!(
                outcome != Outcome::Paused,
                "a fiber that is unwound doesn't pause"
            );
        }
    }
}

fn obey(wake: Wake) {
    if wake == Wake::Cancel {
        resume_unwind(Box::new(Cancelled));
    }
}

/// What a panic said.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// Stacks, switched.
#[cfg(not(miri))]
mod stack {
    use std::cell::RefCell;

    use corosensei::stack::DefaultStack;
    use corosensei::{Coroutine, CoroutineResult, Yielder};

    use super::{Outcome, Wake, obey};

    /// Bytes of a fiber's stack.
    const STACK: usize = 256 * 1024;

    thread_local! {
        static SPARE: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
    }

    /// Pauses the fiber that it was given to.
    pub struct Pause(*const Yielder<Wake, ()>);

    impl Pause {
        /// Lets whoever resumed this fiber go on. Doesn't return when the fiber is dropped.
        pub fn pause(&self) {
            // SAFETY: a `Pause` is given to a fiber's body alone, which runs on the fiber's stack as
            // long as the yielder exists; actors don't hand it to others (it is private to `world`).
            obey(unsafe { &*self.0 }.suspend(()));
        }
    }

    pub struct Running(Option<Coroutine<Wake, (), Outcome>>);

    impl Running {
        pub fn new(body: impl FnOnce(Pause) -> Outcome + 'static) -> Running {
            let spare = SPARE.with_borrow_mut(Vec::pop);
            let stack =
                spare.unwrap_or_else(|| DefaultStack::new(STACK).expect("room for a stack"));
            Running(Some(Coroutine::with_stack(
                stack,
                move |yielder, wake| match wake {
                    Wake::Continue => body(Pause(yielder)),
                    Wake::Cancel => Outcome::Finished,
                },
            )))
        }

        pub fn resume(&mut self, wake: Wake) -> Outcome {
            match self.0.as_mut().map(|coroutine| coroutine.resume(wake)) {
                Some(CoroutineResult::Yield(())) => Outcome::Paused,
                Some(CoroutineResult::Return(outcome)) => {
                    if let Some(coroutine) = self.0.take() {
                        // A thread that ends keeps no stacks.
                        let _ =
                            SPARE.try_with(|spare| spare.borrow_mut().push(coroutine.into_stack()));
                    }
                    outcome
                }
                None => Outcome::Finished,
            }
        }

        pub fn has_begun(&self) -> bool {
            self.0.as_ref().is_some_and(Coroutine::started)
        }
    }
}

/// Threads, of which one runs at a time.
#[cfg(miri)]
mod thread {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread::JoinHandle;

    use super::{Outcome, Wake, obey};

    /// Pauses the fiber that it was given to.
    pub struct Pause {
        wakes: Receiver<Wake>,
        outcomes: Sender<Outcome>,
    }

    impl Pause {
        /// Lets whoever resumed this fiber go on. Doesn't return when the fiber is dropped.
        pub fn pause(&self) {
            self.outcomes
                .send(Outcome::Paused)
                .expect("somebody resumed it");
            obey(self.wakes.recv().unwrap_or(Wake::Cancel));
        }
    }

    /// Something that goes to another thread though its type doesn't say that it may.
    struct Handed<T>(T);

    // SAFETY: of a fiber's thread and the one that resumes it, one always waits for the other, so
    // what they share is never reached by both at once, and each handing over synchronises.
    unsafe impl<T> Send for Handed<T> {}

    impl<T> Handed<T> {
        fn take(self) -> T {
            self.0
        }
    }

    pub struct Running {
        wakes: Sender<Wake>,
        outcomes: Receiver<Outcome>,
        thread: Option<JoinHandle<()>>,
        begun: bool,
    }

    impl Running {
        pub fn new(body: impl FnOnce(Pause) -> Outcome + 'static) -> Running {
            let (wakes, woken) = channel();
            let (told, outcomes) = channel();
            let body = Handed(body);
            let thread = std::thread::spawn(move || {
                let body = body;
                let first = woken.recv();
                let last = told.clone();
                let outcome = match first {
                    Ok(Wake::Continue) => body.take()(Pause {
                        wakes: woken,
                        outcomes: told,
                    }),
                    _ => {
                        drop(body);
                        Outcome::Finished
                    }
                };
                // Whoever dropped the fiber doesn't listen.
                let _ = last.send(outcome);
            });
            Running {
                wakes,
                outcomes,
                thread: Some(thread),
                begun: false,
            }
        }

        pub fn resume(&mut self, wake: Wake) -> Outcome {
            self.begun = true;
            if self.wakes.send(wake).is_err() {
                return Outcome::Finished;
            }
            let outcome = self.outcomes.recv().unwrap_or(Outcome::Finished);
            if outcome != Outcome::Paused
                && let Some(thread) = self.thread.take()
            {
                let _ = thread.join();
            }
            outcome
        }

        pub fn has_begun(&self) -> bool {
            self.begun
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            if let Some(thread) = self.thread.take() {
                let _ = self.wakes.send(Wake::Cancel);
                let _ = thread.join();
            }
        }
    }
}
