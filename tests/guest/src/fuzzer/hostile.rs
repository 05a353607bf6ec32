//! The hostile process: it does what the grammar says, and counts.

use core::arch::global_asm;

use abi::PAGE_SIZE;
use abi::boot::layout;
use abi::cap::{CapAddr, Kind};
use abi::error::{OK, Status};
use abi::invoke::Op;
use abi::method::notify;
use invocations::grammar::{Manner, SERVER};
use invocations::slots::What;
use invocations::{Action, Grammar};
use rt::{Kernel, RevocableMapping, message_page};
use sys::{Mem, Message, Sys};

use abi::boot::slot;

/// The victim's `Start`.
pub const START: CapAddr = SERVER;
/// One of its notification bits.
pub const NOTIFY: CapAddr = slot::GRANT + 1;
/// A page, to be read.
pub const PAGE: CapAddr = slot::GRANT + 2;
/// A segment, to be read.
pub const SEGMENT: CapAddr = slot::GRANT + 3;
/// The victim's root table, without the right to do anything with it.
pub const TABLE: CapAddr = slot::GRANT + 4;
/// The victim's process, to be looked at.
pub const PROCESS: CapAddr = slot::GRANT + 5;
/// A PCI function's DMA.
pub const DEVICE: CapAddr = slot::GRANT + 6;
/// Tells the keeper that it is done.
pub const DONE: CapAddr = slot::GRANT + 7;

const GRANTED: &[(CapAddr, What)] = &[
    (START, Kind::Start as What),
    (NOTIFY, Kind::Notify as What),
    (PAGE, Kind::Page as What),
    (SEGMENT, Kind::Table1 as What),
    (TABLE, Kind::CapTable as What),
    (PROCESS, Kind::Process as What),
    (DEVICE, Kind::DeviceDma as What),
];

/// Where it counts: in the last place for shared segments, which the grammar doesn't touch.
pub const COUNTS: u64 = layout::SHARED_END - abi::SEGMENT_SIZE as u64;
/// Once in so many invocations it does what may be its last.
const LAST: u32 = 20_000;
/// First word of its arguments.
const MAGIC: u64 = u64::from_le_bytes(*b"hostile\0");

/// What it is to do.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The seed.
    pub seed: u64,
    /// How many invocations.
    pub invocations: u64,
}

impl Order {
    /// As arguments.
    pub fn bytes(&self) -> [u8; 24] {
        let mut bytes = [0; 24];
        let words = [MAGIC, self.seed, self.invocations];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Out of arguments, if they are one.
    pub fn read(arguments: &[u8]) -> Option<Order> {
        let word = |n: usize| {
            let bytes = arguments.get(8 * n..8 * n + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        (word(0)? == MAGIC).then_some(())?;
        Some(Order {
            seed: word(1)?,
            invocations: word(2)?,
        })
    }
}

unsafe extern "C" {
    static fuzzer_worker: u8;
}

/// Invokes until it has done what it was told, or can't go on.
pub fn run(order: Order) -> ! {
    let manner = Manner {
        entry: (&raw const fuzzer_worker).addr() as u64,
        last: LAST,
    };
    let mut grammar = Grammar::new(order.seed, manner, GRANTED);
    // SAFETY: the keeper mapped a segment there, where no Rust object lies.
    let counts = unsafe { RevocableMapping::new(COUNTS as usize, PAGE_SIZE) };
    // SAFETY: the message page is nobody else's in this program, which logs nothing.
    let batch =
        unsafe { RevocableMapping::new(layout::MESSAGE as usize, message_page::BATCH_BYTES) };
    let (mut made, mut succeeded) = (0, 0);
    while made < order.invocations {
        match grammar.act() {
            Action::Invoke(call) => {
                made += 1;
                // What isn't there any more it can do without.
                let _ = counts.store_u64(0, made);
                let (rax, _, words, received, _) =
                    Kernel.raw(call.op, call.target, call.words, call.send, call.receive);
                let status = rax as Status;
                if status == OK {
                    succeeded += 1;
                    let _ = counts.store_u64(8, succeeded);
                }
                grammar.learn(&call, status, &words, received as u8);
            }
            Action::Store { offset, word } => {
                let _ = batch.store_u64(offset, word);
            }
            Action::Touch { address, write } => touch(address, write),
        }
    }
    Kernel.send(DONE, &Message::new(&[notify::SIGNAL]));
    loop {
        Kernel.wait([0; 4]);
    }
}

/// Reads or writes where nothing need be. What the program itself stands on it leaves alone.
fn touch(address: u64, write: bool) {
    let own = !(layout::SHARED..layout::SHARED_END).contains(&address);
    if own && write || address >> 47 != 0 {
        return;
    }
    // SAFETY: what is written lies where no Rust object does; what is read may be anything, and is not
    // looked at.
    let memory = unsafe { RevocableMapping::new(address as usize, 8) };
    if write {
        let _ = memory.store_u64(0, address);
    } else {
        let _ = memory.load_u64(0);
    }
}

// What the process makes processes of: they share its memory, so this uses none. It sends what a
// sequence says to the slots from 16 on, a few thousand times, and waits for ever.
global_asm!(
    ".pushsection .text.fuzzer_worker, \"ax\", @progbits",
    ".globl fuzzer_worker",
    ".hidden fuzzer_worker",
    "fuzzer_worker:",
    "mov rbx, rdi",
    "or rbx, 1",
    "mov ebp, 4000",
    "2:",
    "mov rax, rbx",
    "shl rax, 13",
    "xor rbx, rax",
    "mov rax, rbx",
    "shr rax, 7",
    "xor rbx, rax",
    "mov rax, rbx",
    "shl rax, 17",
    "xor rbx, rax",
    "mov rdi, rbx",
    "and edi, 47",
    "or edi, 16",
    "mov rsi, rbx",
    "shr rsi, 8",
    "and esi, 15",
    "mov rdx, rbx",
    "shr rdx, 12",
    "and edx, 63",
    "mov r10, rbx",
    "shr r10, 18",
    "and r10d, 63",
    "mov r8, rbx",
    "shr r8, 24",
    "and r8d, 255",
    "mov r9, rbx",
    "mov r12, rbx",
    "shr r12, 40",
    "mov rax, 0x002f002f002f002f",
    "mov r13, rbx",
    "and r13, rax",
    "mov r14, r13",
    "or r14, 32",
    "mov eax, {send}",
    "syscall",
    "dec ebp",
    "jnz 2b",
    "3:",
    "xor r14d, r14d",
    "mov eax, {wait}",
    "syscall",
    "jmp 3b",
    ".popsection",
    send = const Op::Send as u32,
    wait = const Op::Wait as u32,
);
