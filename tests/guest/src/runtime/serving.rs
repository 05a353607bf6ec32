//! Messages, both ways.

use abi::boot::{layout, slot};
use abi::cap::Rights;
use abi::error::{EPIPE, EPROTO, OK, status};
use guest::children::{BANK, Nursery, SELF, SubBank, own_priority};
use rt::child::{Child, Grant, Image, Program, Shared};
use rt::{Kernel, Mapping, shared, slots};
use sys::object::Start;
use sys::{Cap, Event, Mem, Message, Sys};

use super::{Outcome, Test, check, show};

pub const TESTS: &[Test] = &[
    ("a call is answered with status and words", answered),
    ("a call is answered later, by its Resume", answered_later),
    ("a call that is dropped ends with an error", dropped),
    ("slots in many tables hold capabilities", many_slots),
];

guest::code! {
    /// Calls the capability in slot 16 with the words 11 to 16, and stores status and words in the
    /// shared page, with a 1 behind them.
    caller = r_caller, r_caller_end:
        "mov ebx, 0x20000000",
        "xor eax, eax", "mov edi, 16",
        "mov esi, 11", "mov edx, 12", "mov r10d, 13", "mov r8d, 14", "mov r9d, 15", "mov r12d, 16",
        "xor r13d, r13d", "xor r14d, r14d",
        "syscall",
        "mov [rbx], rax", "mov [rbx + 8], rsi", "mov [rbx + 16], rdx", "mov [rbx + 24], r10",
        "mov [rbx + 32], r8", "mov [rbx + 40], r9", "mov [rbx + 48], r12",
        "mov qword ptr [rbx + 56], 1",
        "2:", "mov eax, 3", "xor r14d, r14d", "syscall", "jmp 2b";
}

const BADGE: u64 = 0x1234_5678_9abc;

/// A child that calls this program once, and what it says of the answer.
struct Caller {
    owner: SubBank,
    nursery: Nursery,
    child: Child,
    start: Cap<Start>,
    page: Mapping,
}

impl Caller {
    fn new() -> Result<Caller, alloc::string::String> {
        let owner = SubBank::new(60).map_err(show)?;
        let mut nursery = Nursery::new().map_err(show)?;
        let start: Cap<Start> = Cap::at(slots::take().map_err(show)?);
        SELF.make_start(&Kernel, BADGE, start.address())
            .map_err(show)?;
        let segment = shared::buy(BANK, 1).map_err(show)?;
        let image = Image::from_code(caller()).map_err(show)?;
        let rights = Rights::READ | Rights::WRITE;
        let program = Program {
            priority: own_priority().map_err(show)?,
            stack_pages: 1,
            grants: &[Grant::new(slot::GRANT, start.address())],
            segments: &[Shared {
                address: layout::SHARED,
                segment: segment.table,
                rights,
            }],
            ..Program::new("caller", &image, owner.bank)
        };
        let child = nursery.child(&program).map_err(show)?;
        child.start(&Kernel).map_err(show)?;
        let page = segment.place.mapping();
        Ok(Caller {
            owner,
            nursery,
            child,
            start,
            page,
        })
    }

    /// Waits for its call.
    fn call(&self) -> Outcome {
        let event = Kernel.wait([0; 4]);
        let Event::Request(request) = event else {
            return check(false, "something else came");
        };
        check(request.call && request.badge == BADGE, "not its call")?;
        check(
            request.words == [11, 12, 13, 14, 15, 16],
            "other words arrived",
        )
    }

    /// Lets it run until it waits again, and compares what it got.
    fn got(mut self, wanted: (u32, [u64; 6])) -> Outcome {
        for _ in 0..100 {
            Kernel.yield_now();
        }
        let load = |offset| self.page.load_u64(offset).map_err(show);
        let status = load(0)? as u32;
        let mut words = [0; 6];
        for (n, word) in words.iter_mut().enumerate() {
            *word = load(8 + 8 * n)?;
        }
        check(load(56)? == 1, "it was not answered")?;
        check((status, words) == wanted, "it got another answer")?;
        drop(self.owner);
        self.nursery.forget(self.child);
        self.nursery.end();
        slots::give(self.start.address());
        Ok(())
    }
}

/// Wakes oneself, to get out of a wait.
fn wake_self() -> Outcome {
    let notify: Cap<sys::object::Notify> = Cap::at(slots::take().map_err(show)?);
    SELF.make_notify(&Kernel, 70, notify.address())
        .map_err(show)?;
    notify.signal(&Kernel).map_err(show)?;
    slots::give(notify.address());
    Ok(())
}

fn woken(event: Event) -> Outcome {
    check(
        event
            == Event::Notified {
                group: 1,
                bits: 1 << 6,
            },
        "something else came",
    )
}

fn answered() -> Outcome {
    let caller = Caller::new()?;
    caller.call()?;
    wake_self()?;
    let message = Message::new(&[1, 2, 3, 4, 5, 6]);
    woken(Kernel.reply_and_wait(status(EPROTO), &message))?;
    caller.got((status(EPROTO), [1, 2, 3, 4, 5, 6]))
}

fn answered_later() -> Outcome {
    let caller = Caller::new()?;
    caller.call()?;
    let resume = slots::take().map_err(show)?;
    check(Kernel.save_caller(resume) == OK, "the caller can't be kept")?;
    check(Kernel.poll([0; 4]).is_none(), "something came")?;
    let message = Message::new(&[6, 5, 4, 3, 2, 1]);
    check(
        Kernel.resume(resume, OK, &message) == OK,
        "the Resume does not work",
    )?;
    check(
        Kernel.resume(resume, OK, &message) != OK,
        "the Resume works twice",
    )?;
    slots::give(resume);
    caller.got((OK, [6, 5, 4, 3, 2, 1]))
}

fn dropped() -> Outcome {
    let caller = Caller::new()?;
    caller.call()?;
    wake_self()?;
    woken(Kernel.wait([0; 4]))?;
    caller.got((status(EPIPE), [0; 6]))
}

fn many_slots() -> Outcome {
    let mut taken = alloc::vec::Vec::new();
    for _ in 0..300 {
        let address = slots::take().map_err(show)?;
        let (table, index) = slots::table_of(address);
        table
            .put(&Kernel, index, slot::CLOCK, Rights::FULL)
            .map_err(show)?;
        taken.push(address);
    }
    let clock = |address: &u16| Cap::<sys::object::Clock>::at(*address);
    check(
        taken
            .iter()
            .all(|address| clock(address).now(&Kernel).is_ok()),
        "one does not work",
    )?;
    let last = taken[299];
    check(last > 128, "all lie in the root table")?;
    taken.into_iter().for_each(slots::give);
    check(
        clock(&last).now(&Kernel).is_err(),
        "one works after it was given back",
    )
}
