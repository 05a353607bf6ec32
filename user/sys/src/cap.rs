//! Typed capabilities.

use core::marker::PhantomData;

use abi::cap::CapAddr;

/// The address of a capability that should be to a `T`.
///
/// The type says which methods make sense; it does *not* prove what lies at the address, nor that
/// it is still alive. The kernel (or the server) decides at each invocation.
pub struct Cap<T> {
    address: CapAddr,
    kind: PhantomData<fn() -> T>,
}

impl<T> Cap<T> {
    /// The capability at an address.
    pub const fn at(address: CapAddr) -> Cap<T> {
        Cap {
            address,
            kind: PhantomData,
        }
    }

    /// Its address.
    pub const fn address(self) -> CapAddr {
        self.address
    }
}

impl<T> Clone for Cap<T> {
    fn clone(&self) -> Cap<T> {
        *self
    }
}

impl<T> Copy for Cap<T> {}

impl<T> PartialEq for Cap<T> {
    fn eq(&self, other: &Cap<T>) -> bool {
        self.address == other.address
    }
}

impl<T> Eq for Cap<T> {}

impl<T> core::fmt::Debug for Cap<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "cap {}", self.address)
    }
}
