//! Isolated operations: what frames cost is made of these. `crossover` has `isolated` do each of them by
//! itself, and counts.

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name.
    pub name: &'static str,
    /// What is done.
    pub work: Work,
    /// Bytes that one moves; 0 where it isn't about bytes.
    pub bytes: usize,
    /// How many are done by one invocation.
    pub together: u64,
    /// How many are done while it is counted: a multiple of `together`.
    pub times: u64,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A system call that does nothing.
    Trap,
    /// A call to a server in another address space, and its answer; no words.
    Call,
    /// A notification to a process that isn't waiting for one.
    Signal,
    /// A page mapped in a segment that the program sees.
    Map,
    /// A page taken out of such a segment.
    Unmap,
    /// A page pinned for the device to write.
    Pin,
    /// A pin given back.
    Unpin,
    /// Two pinned pages of two segments exchanged, both of which the program sees.
    Exchange,
    /// A page bought into a place of a segment.
    Buy,
    /// A mapped page taken back, zeroed: its bank is destroyed.
    Rescind,
    /// Bytes zeroed.
    Zero(Loop),
    /// Bytes copied.
    Copy(Loop),
}

/// By which loop bytes are moved. None of them uses vector registers: programs have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loop {
    /// A string instruction, a byte an iteration.
    StringBytes,
    /// A string instruction, eight bytes an iteration, and the rest by bytes.
    StringWords,
    /// Eight bytes a turn, and the rest by bytes.
    Words,
    /// Eight times eight bytes a turn: as the system's programs copy.
    Unrolled,
}

/// Pages, or calls, over which an operation is counted.
pub const TIMES: u64 = 32;

/// What is asked of `isolated`, in the second word of a call; the first is the operation's number.
pub mod step {
    /// Prepare it.
    pub const PREPARE: u64 = 0;
    /// Do it so often as the third word says. Answers copies, bytes copied and bytes zeroed.
    pub const DO: u64 = 1;
    /// Put everything back.
    pub const FINISH: u64 = 2;
}

const fn single(name: &'static str, work: Work) -> Operation {
    Operation {
        name,
        work,
        bytes: 0,
        together: 1,
        times: TIMES,
    }
}

const fn batch(name: &'static str, work: Work) -> Operation {
    Operation {
        together: TIMES,
        ..single(name, work)
    }
}

const fn bytes(name: &'static str, work: Work, bytes: usize) -> Operation {
    Operation {
        bytes,
        ..single(name, work)
    }
}

/// All, in the order in which they are done.
pub const ALL: &[Operation] = &[
    single("trap", Work::Trap),
    single("ipc", Work::Call),
    single("signal", Work::Signal),
    single("map", Work::Map),
    single("unmap", Work::Unmap),
    single("pin", Work::Pin),
    batch("pin", Work::Pin),
    single("unpin", Work::Unpin),
    batch("unpin", Work::Unpin),
    single("exchange", Work::Exchange),
    batch("exchange", Work::Exchange),
    batch("buy", Work::Buy),
    batch("rescind", Work::Rescind),
    bytes("zero_rep_stosq", Work::Zero(Loop::StringWords), 4096),
    bytes("zero_words", Work::Zero(Loop::Words), 4096),
    bytes("copy_rep_movsb", Work::Copy(Loop::StringBytes), 64),
    bytes("copy_rep_movsb", Work::Copy(Loop::StringBytes), 1514),
    bytes("copy_rep_movsb", Work::Copy(Loop::StringBytes), 4096),
    bytes("copy_rep_movsq", Work::Copy(Loop::StringWords), 64),
    bytes("copy_rep_movsq", Work::Copy(Loop::StringWords), 1514),
    bytes("copy_rep_movsq", Work::Copy(Loop::StringWords), 4096),
    bytes("copy_words", Work::Copy(Loop::Words), 64),
    bytes("copy_words", Work::Copy(Loop::Words), 1514),
    bytes("copy_words", Work::Copy(Loop::Words), 4096),
    bytes("copy_unrolled", Work::Copy(Loop::Unrolled), 64),
    bytes("copy_unrolled", Work::Copy(Loop::Unrolled), 1514),
    bytes("copy_unrolled", Work::Copy(Loop::Unrolled), 4096),
];

impl Operation {
    /// Copies, bytes copied and bytes zeroed by so many of them.
    pub const fn moved(&self, times: u64) -> [u64; 3] {
        let bytes = self.bytes as u64 * times;
        match self.work {
            Work::Copy(_) => [times, bytes, 0],
            Work::Zero(_) => [0, 0, bytes],
            _ => [0; 3],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_there_once_and_done_by_whole_invocations() {
        for (index, one) in ALL.iter().enumerate() {
            assert_eq!(one.times % one.together, 0, "{one:?}");
            let same = |other: &&Operation| {
                (other.name, other.bytes, other.together) == (one.name, one.bytes, one.together)
            };
            assert_eq!(ALL.iter().position(|other| same(&other)), Some(index));
        }
    }

    #[test]
    fn only_loops_move_bytes() {
        for one in ALL {
            let [copies, copied, zeroed] = one.moved(2);
            assert_eq!(copied + zeroed, 2 * one.bytes as u64, "{one:?}");
            assert_eq!(copies > 0, copied > 0, "{one:?}");
        }
    }
}
