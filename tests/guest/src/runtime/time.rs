//! Clock, timer, device memory.

use abi::boot::slot;
use rt::clock::{Clock, SECOND};
use rt::{Kernel, device, slots};
use sys::object::{Clock as ClockObject, DeviceDma, DeviceMemory};
use sys::{Cap, Error, Event, Mem, Sys};

use super::{Outcome, Test, check, show};

pub const TESTS: &[Test] = &[
    ("the clock agrees with the kernel's", agrees),
    ("the timer fires at its deadline, not before", fires),
    ("a deadline that has passed fires at once", passed),
    ("a timer that was stopped does not fire", stopped),
    ("device memory is mapped", mapped),
];

const KERNEL: Cap<ClockObject> = Cap::at(slot::CLOCK);
const BIT: u64 = 3;

fn agrees() -> Outcome {
    let clock = Clock::new().map_err(show)?;
    for _ in 0..100 {
        let before = clock.now();
        let kernel = KERNEL.now(&Kernel).map_err(show)?.nanoseconds;
        let after = clock.now();
        // The two are computed differently.
        let slack = 100;
        check(
            before <= kernel + slack && kernel <= after + slack,
            "the clocks disagree",
        )?;
        check(before <= after, "time went back")?;
    }
    Ok(())
}

fn wait() -> Outcome {
    let event = Kernel.wait([0; 4]);
    check(
        event
            == Event::Notified {
                group: 0,
                bits: 1 << BIT,
            },
        "something else came",
    )
}

fn fires() -> Outcome {
    let clock = Clock::new().map_err(show)?;
    for milliseconds in [1, 5, 20] {
        let deadline = clock.now() + milliseconds * SECOND / 1000;
        clock.arm(deadline, BIT).map_err(show)?;
        wait()?;
        check(clock.now() + 100 >= deadline, "it fired too early")?;
    }
    Ok(())
}

fn passed() -> Outcome {
    let clock = Clock::new().map_err(show)?;
    clock.arm(0, BIT).map_err(show)?;
    wait()
}

fn stopped() -> Outcome {
    let clock = Clock::new().map_err(show)?;
    clock.arm(clock.now() + SECOND / 200, BIT).map_err(show)?;
    clock.disarm().map_err(show)?;
    let end = clock.now() + SECOND / 100;
    while clock.now() < end {
        Kernel.yield_now();
    }
    check(Kernel.poll([0; 4]).is_none(), "it fired")
}

/// Where the network card's common registers are (Virtio 1.1, 4.1.4.3): QEMU has them at the start
/// of its memory BAR 4.
fn network_card() -> Result<u64, Error> {
    let all: Cap<DeviceDma> = Cap::at(slot::INIT_DEVICE_DMA);
    let one: Cap<DeviceDma> = Cap::at(slots::take()?);
    for device in 0..32 {
        let found = all.function(&Kernel, device << 3, one.address());
        if found.is_ok() && one.config_read(&Kernel, 0, 4)? == 0x1041_1af4 {
            let low = one.config_read(&Kernel, 0x20, 4)? & !0xf;
            let high = one.config_read(&Kernel, 0x24, 4)?;
            return Ok(u64::from(high) << 32 | u64::from(low));
        }
    }
    Err(Error::new(abi::error::ENODEV))
}

fn mapped() -> Outcome {
    let all: Cap<DeviceMemory> = Cap::at(slot::INIT_DEVICE_MEMORY);
    let one: Cap<DeviceMemory> = Cap::at(slots::take().map_err(show)?);
    let card = network_card().map_err(show)?;
    all.narrow(&Kernel, card, 1, one.address()).map_err(show)?;
    let registers = device::map(one, 0, 1).map_err(show)?;
    check(registers.len() == abi::PAGE_SIZE, "of another size")?;
    // num_queues: at least one to receive, one to transmit, one to control.
    let queues = registers.load_u16(0x12).map_err(show)?;
    check((3..100).contains(&queues), "something else answers")?;
    check(
        device::map(one, 0, 2).is_err(),
        "more than the capability covers",
    )
}
