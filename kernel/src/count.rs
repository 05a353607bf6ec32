//! Counting what happens, in kernels built with the feature `count-events` (`abi::count`). In others
//! these functions are empty, and no trace of them is left in the code.
//!
//! One process observes: nothing is counted while it runs. A switch counts for who is switched to.

#[cfg(feature = "count-events")]
mod counting;

#[cfg(feature = "count-events")]
pub(crate) use counting::Counts;

#[cfg(not(feature = "count-events"))]
impl<M> crate::Kernel<'_, M> {
    /// Counts an event, or several.
    #[inline(always)]
    pub(crate) const fn count(&self, _: abi::count::Event, _: u64) {}

    /// A process runs from now on.
    #[inline(always)]
    pub(crate) const fn now_runs(&self, _: &crate::process::Process) {}
}
