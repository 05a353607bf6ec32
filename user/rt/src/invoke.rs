//! The system calls: `sys::Sys` in the registers that [`abi::invoke`] lays down.
//!
//! Everything is inlined: where a message is made of constants, what remains are the moves into its
//! registers.

use core::arch::asm;

use abi::cap::{CapAddr, NONE};
use abi::error::{EAGAIN, Status, status};
use abi::invoke::{CAPS, Op, Received, WORDS, pack};
use sys::{Event, Message, Reply, Request, Sys};

/// The kernel, as this process reaches it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kernel;

/// What a system call brings back.
struct Answer {
    rax: u64,
    rdi: u64,
    words: [u64; WORDS],
    received: u64,
    own_badge: u64,
}

/// One `syscall`.
#[inline(always)]
fn invoke(rax: u64, rdi: u64, mut words: [u64; WORDS], caps: u64, receive: u64) -> Answer {
    let (status, badge, received, own_badge): (u64, u64, u64, u64);
    // SAFETY:
    // - every register that the kernel changes is an output here (abi::invoke: rbx, rbp, rsp and r15
    //   are preserved; rcx and r11 are clobbered);
    // - the kernel writes no memory of this process but pages whose capabilities were sent, and those
    //   are reached only through `Mem`; not claiming `nomem` orders those accesses with the call.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") rax => status,
            inlateout("rdi") rdi => badge,
            inlateout("rsi") words[0],
            inlateout("rdx") words[1],
            inlateout("r10") words[2],
            inlateout("r8") words[3],
            inlateout("r9") words[4],
            inlateout("r12") words[5],
            inlateout("r13") caps => received,
            inlateout("r14") receive => own_badge,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    Answer {
        rax: status,
        rdi: badge,
        words,
        received,
        own_badge,
    }
}

/// Tells a counting kernel of a loop: see [`abi::count::NOTE`].
#[cfg(feature = "count-events")]
pub(crate) fn note(kind: u64, bytes: u64, instructions: u64) {
    let words = [bytes, instructions, 0, 0, 0, 0];
    // A kernel that doesn't count refuses; nothing depends on it.
    let _ = invoke(u64::from(abi::count::NOTE), kind, words, 0, 0);
}

#[inline(always)]
fn event(answer: &Answer) -> Event {
    let kind = (answer.rax >> 32) as u8;
    if kind == Received::Notified as u8 {
        return Event::Notified {
            group: answer.rdi as u16,
            bits: answer.words[0],
        };
    }
    Event::Request(Request {
        badge: answer.rdi,
        words: answer.words,
        received: answer.received as u8,
        own_badge: answer.own_badge,
        call: kind == Received::Call as u8,
    })
}

const fn with_status(op: Op, status: Status) -> u64 {
    op as u64 | (status as u64) << 32
}

impl Sys for Kernel {
    #[inline]
    fn call(&self, capability: CapAddr, message: &Message) -> Reply {
        let caps = pack(message.caps);
        let receive = pack(message.receive);
        let answer = invoke(
            Op::Call as u64,
            capability as u64,
            message.words,
            caps,
            receive,
        );
        Reply {
            status: answer.rax as Status,
            words: answer.words,
            received: answer.received as u8,
        }
    }

    #[inline]
    fn send(&self, capability: CapAddr, message: &Message) -> Status {
        let caps = pack(message.caps);
        invoke(Op::Send as u64, capability as u64, message.words, caps, 0).rax as Status
    }

    #[inline]
    fn wait(&self, receive: [CapAddr; CAPS]) -> Event {
        event(&invoke(Op::Wait as u64, 0, [0; WORDS], 0, pack(receive)))
    }

    #[inline]
    fn reply_and_wait(&self, status: Status, message: &Message) -> Event {
        let rax = with_status(Op::ReplyWait, status);
        let caps = pack(message.caps);
        event(&invoke(
            rax,
            NONE as u64,
            message.words,
            caps,
            pack(message.receive),
        ))
    }

    #[inline]
    fn resume(&self, resume: CapAddr, status: Status, message: &Message) -> Status {
        let rax = with_status(Op::Send, status);
        let caps = pack(message.caps);
        invoke(rax, resume as u64, message.words, caps, 0).rax as Status
    }

    #[inline]
    fn poll(&self, receive: [CapAddr; CAPS]) -> Option<Event> {
        let answer = invoke(Op::Poll as u64, 0, [0; WORDS], 0, pack(receive));
        if answer.rax as Status == status(EAGAIN) {
            return None;
        }
        Some(event(&answer))
    }

    #[inline]
    fn save_caller(&self, slot: CapAddr) -> Status {
        invoke(Op::SaveCaller as u64, slot as u64, [0; WORDS], 0, 0).rax as Status
    }
}

impl Kernel {
    /// Lets others of the same priority run.
    #[inline]
    pub fn yield_now(&self) {
        invoke(Op::Yield as u64, 0, [0; WORDS], 0, 0);
    }

    /// Does nothing: measures the boundary itself.
    #[inline]
    pub fn null(&self) {
        invoke(Op::Null as u64, 0, [0; WORDS], 0, 0);
    }

    /// An invocation whose registers are taken as they are, for programs that test the boundary:
    /// `rax`, `rdi`, the words, `r13`, `r14`, which is how they come back, too.
    #[inline]
    pub fn raw(
        &self,
        rax: u64,
        rdi: u64,
        words: [u64; WORDS],
        caps: u64,
        receive: u64,
    ) -> (u64, u64, [u64; WORDS], u64, u64) {
        let answer = invoke(rax, rdi, words, caps, receive);
        (
            answer.rax,
            answer.rdi,
            answer.words,
            answer.received,
            answer.own_badge,
        )
    }

    /// Gives up: the process is suspended for good and its keeper told.
    pub fn decline(&self) -> ! {
        loop {
            invoke(Op::FaultDecline as u64, 0, [0; WORDS], 0, 0);
        }
    }
}
