//! What the stack tells its visitors and does not know itself.

/// Totals of the user's bank, in objects of one page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BankTotals {
    /// Most that it may hold.
    pub limit: u64,
    /// What it holds.
    pub bought: u64,
    /// What was rescinded and still waits for a device.
    pub limbo: u64,
    /// Most that it ever held.
    pub high_water: u64,
    /// Child banks.
    pub children: u64,
}

/// Where the page's figures come from.
pub trait Facts {
    /// The user's bank; `None` where it doesn't answer.
    fn bank(&self) -> Option<BankTotals>;
}

/// No figures.
pub struct NoFacts;

impl Facts for NoFacts {
    fn bank(&self) -> Option<BankTotals> {
        None
    }
}
