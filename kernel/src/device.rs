//! Device authorities: interrupts, I/O ports, device memory, and the DMA of PCI functions.

use core::cell::Cell;

use abi::cap::{Kind, Rights};
use abi::method::{device_dma, device_memory, io_port, irq};

use crate::Kernel;
use crate::cap::Capability;
use crate::error::{BUSY, DEVICE, EXHAUSTED, INVALID, KIND, METHOD, PERMISSION, RANGE, Result};
use crate::invoke::{Answer, Invocation};
use crate::machine::{Machine, Source, Trigger, Width};
use crate::msix;
use crate::object::Binding;

/// Interrupt vectors for devices.
pub const VECTORS: usize = 160;

/// Badge of the `Irq` capability for all interrupts.
pub const ALL_IRQS: u64 = u64::MAX;
/// Badge of the `DeviceDma` capability for all functions.
pub const ALL_FUNCTIONS: u64 = u64::MAX;

/// Pins ended by one `RELEASE`.
const RELEASED: usize = 16;

/// Command register of a PCI function (PCI 3.0, 6.2.2) and its bus-master bit.
const COMMAND: u16 = 4;
const BUS_MASTER: u32 = 1 << 2;

/// What the kernel knows of a vector.
pub struct Vector {
    source: Cell<Option<Source>>,
    trigger: Cell<Trigger>,
    binding: Cell<Binding>,
    generation: Cell<u64>,
}

impl Vector {
    /// A vector that nobody has.
    pub const fn free() -> Vector {
        Vector {
            source: Cell::new(None),
            trigger: Cell::new(Trigger::Edge),
            binding: Cell::new(Binding::NONE),
            generation: Cell::new(1),
        }
    }
}

impl<M: Machine> Kernel<'_, M> {
    /// An interrupt came on a device vector (counted from 0), and is not acknowledged yet: a
    /// level-triggered line that were acknowledged before it is masked would come again at once, before
    /// its driver could run.
    pub fn interrupt(&self, vector: usize) {
        let Some(vector) = self.vectors.get(vector) else {
            return;
        };
        if let Some(source) = vector.source.get()
            && vector.trigger.get() == Trigger::Level
        {
            self.machine.irq_mask(source, true);
        }
        self.notify(vector.binding.get());
    }

    pub(crate) fn irq_alive(&self, capability: &Capability) -> bool {
        capability.badge == ALL_IRQS || self.vector(capability).is_some()
    }

    fn vector(&self, capability: &Capability) -> Option<&Vector> {
        let vector = self.vectors.get(usize::try_from(capability.badge).ok()?)?;
        (vector.generation.get() == capability.version).then_some(vector)
    }

    pub(crate) fn invoke_irq(&self, call: &Invocation) -> Result<Answer> {
        let [method, w1, w2, ..] = call.words();
        if call.capability.badge == ALL_IRQS {
            let source = match method {
                irq::ISA if w1 < 16 => Source::Isa(w1 as u8),
                irq::MSIX => Source::MsiX {
                    function: u16::try_from(w1).map_err(|_| INVALID)?,
                    entry: u16::try_from(w2).map_err(|_| INVALID)?,
                },
                irq::ISA => return Err(INVALID),
                irq::BIND..=irq::RELEASE => return Err(KIND),
                _ => return Err(METHOD),
            };
            return self.connect(source).map(Answer::capability);
        }
        let vector = self.vector(&call.capability).ok_or(crate::error::VOID)?;
        let source = vector.source.get().ok_or(DEVICE)?;
        match method {
            irq::BIND => vector.binding.set(self.binding(&call.argument(self, 0)?)?),
            irq::UNMASK => self.machine.irq_mask(source, false),
            irq::MASK => self.machine.irq_mask(source, true),
            irq::RELEASE => {
                self.machine.irq_mask(source, true);
                vector.generation.set(vector.generation.get() + 1);
                vector.binding.set(Binding::NONE);
                vector.source.set(None);
            }
            irq::ISA | irq::MSIX => return Err(PERMISSION),
            _ => return Err(METHOD),
        }
        Ok(Answer::NOTHING)
    }

    /// Gives an interrupt a vector, or the one it has: then earlier capabilities to it are void.
    fn connect(&self, source: Source) -> Result<Capability> {
        let has = |vector: &&Vector| vector.source.get() == Some(source);
        let taken = self.vectors.iter().position(|vector| has(&vector));
        let free = || {
            self.vectors
                .iter()
                .position(|vector| vector.source.get().is_none())
        };
        let index = taken.or_else(free).ok_or(EXHAUSTED)?;
        let trigger = self.machine.irq_connect(source, index as u8)?;
        let vector = &self.vectors[index];
        vector.trigger.set(trigger);
        vector.source.set(Some(source));
        vector.binding.set(Binding::NONE);
        vector.generation.set(vector.generation.get() + 1);
        let mut capability = Capability::service(Kind::Irq, index as u64, 0);
        capability.version = vector.generation.get();
        Ok(capability)
    }

    pub(crate) fn invoke_io_port(&self, call: &Invocation) -> Result<Answer> {
        let [method, w1, w2, w3, ..] = call.words();
        let (base, count) = (call.capability.badge, call.capability.extent);
        let covers = |first: u64, n: u64| {
            first >= base && n != 0 && first.checked_add(n).is_some_and(|end| end <= base + count)
        };
        if method == io_port::NARROW {
            if !covers(w1, w2) {
                return Err(RANGE);
            }
            return Ok(Answer::capability(Capability::service(
                Kind::IoPort,
                w1,
                w2,
            )));
        }
        if !matches!(method, io_port::READ | io_port::WRITE) {
            return Err(METHOD);
        }
        let width = Width::of(w2).ok_or(INVALID)?;
        let inside =
            covers(w1, w2) && !(w1..w1 + w2).any(|p| self.machine.port_is_kernels(p as u16));
        if !inside {
            return Err(RANGE);
        }
        if method == io_port::READ {
            return Ok(Answer::word(
                self.machine.port_read(w1 as u16, width).into(),
            ));
        }
        self.machine.port_write(w1 as u16, width, w3 as u32);
        Ok(Answer::NOTHING)
    }

    pub(crate) fn invoke_device_memory(&self, call: &Invocation) -> Result<Answer> {
        let [method, physical, pages, ..] = call.words();
        let (base, count) = (call.capability.badge, call.capability.extent);
        match method {
            device_memory::NARROW => {
                let first = physical >> 12;
                if !physical.is_multiple_of(abi::PAGE_SIZE as u64) || pages == 0 {
                    return Err(INVALID);
                }
                let end = first.checked_add(pages).filter(|end| *end <= base + count);
                if first < base || end.is_none() || !self.machine.is_device_memory(first, pages) {
                    return Err(RANGE);
                }
                Ok(Answer::capability(Capability::service(
                    Kind::DeviceMemory,
                    first,
                    pages,
                )))
            }
            device_memory::INFO => Ok(Answer::words([base << 12, count, 0, 0, 0, 0])),
            _ => Err(METHOD),
        }
    }

    pub(crate) fn invoke_device_dma(&self, call: &Invocation) -> Result<Answer> {
        let [method, w1, w2, w3, ..] = call.words();
        if call.capability.badge == ALL_FUNCTIONS {
            return match method {
                device_dma::FUNCTION => self.function(call, w1).map(Answer::capability),
                device_dma::CONFIG_READ..=device_dma::RELEASE => Err(KIND),
                _ => Err(METHOD),
            };
        }
        let function = call.capability.badge as u16;
        match method {
            device_dma::CONFIG_READ | device_dma::CONFIG_WRITE => {
                call.capability.needs(Rights::CONFIGURE)?;
                let width = Width::of(w2).ok_or(INVALID)?;
                let offset = u16::try_from(w1)
                    .ok()
                    .filter(|o| o % width.bytes() == 0 && *o < 256);
                let offset = offset.ok_or(INVALID)?;
                if method == device_dma::CONFIG_READ {
                    return Ok(Answer::word(
                        self.machine.pci_read(function, offset, width).into(),
                    ));
                }
                self.configure_function(function, offset, width, w3 as u32);
            }
            device_dma::BIND => {
                call.capability.needs(Rights::CONTROL)?;
                let aperture = call.argument(self, 0)?;
                let row = self.object_of(&aperture, Kind::Aperture)?;
                aperture.needs(Rights::CONTROL)?;
                if row.function.get() != 0 {
                    return Err(BUSY);
                }
                row.function.set(u32::from(function) + 1);
            }
            device_dma::SET_MASTER => {
                call.capability.needs(Rights::CONTROL)?;
                let command = self.machine.pci_read(function, COMMAND, Width::Word);
                if w1 == 0 {
                    self.machine
                        .pci_write(function, COMMAND, Width::Word, command & !BUS_MASTER);
                } else if self.has_dead_pins(function) {
                    return Err(BUSY);
                } else {
                    self.machine
                        .pci_write(function, COMMAND, Width::Word, command | BUS_MASTER);
                }
            }
            device_dma::RELEASE => {
                call.capability.needs(Rights::CONTROL)?;
                let command = self.machine.pci_read(function, COMMAND, Width::Word);
                if command & BUS_MASTER != 0 {
                    return Err(BUSY);
                }
                let (done, more) = self.release_pins(function, RELEASED);
                return Ok(if more {
                    Answer::more(done)
                } else {
                    Answer::word(done)
                });
            }
            device_dma::FUNCTION => return Err(PERMISSION),
            _ => return Err(METHOD),
        }
        Ok(Answer::NOTHING)
    }

    fn function(&self, call: &Invocation, function: u64) -> Result<Capability> {
        let number = u16::try_from(function).map_err(|_| INVALID)?;
        if self.machine.pci_read(number, 0, Width::Word) == 0xffff {
            return Err(DEVICE);
        }
        let capability = Capability::service(Kind::DeviceDma, function, 0);
        Ok(capability.restricted(call.capability.rights()))
    }

    /// Writes configuration space, but leaves bus mastering and MSI-X to the kernel.
    fn configure_function(&self, function: u16, offset: u16, width: Width, value: u32) {
        let covers = |register: u16| register >= offset && register < offset + width.bytes();
        let mut value = value;
        if covers(COMMAND) {
            // The bus-master bit lies in the register's first byte.
            let shift = 8 * u32::from(COMMAND - offset);
            let kept = self.machine.pci_read(function, COMMAND, Width::Word) & BUS_MASTER;
            value = value & !(BUS_MASTER << shift) | kept << shift;
        }
        if let Some(msix) = msix::capability(&self.machine, function)
            && offset < msix + 4
            && offset + width.bytes() > msix + 2
        {
            // Message control is the second half of the capability's first word.
            return;
        }
        self.machine.pci_write(function, offset, width, value);
    }
}
