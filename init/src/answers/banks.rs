//! `banks`: the tree of space banks.

use alloc::format;
use alloc::string::{String, ToString};

use sys::bank::{Bank, Usage};
use sys::{Cap, Error, Sys};

use crate::console::table::{Align, Table, memory};
use crate::host::{Host, PRIME};
use crate::init::Init;
use crate::launch::clear;
use crate::share;
use crate::user::Member;

const COLUMNS: &[(&str, Align)] = &[
    ("bank", Align::Left),
    ("limit", Align::Right),
    ("bought", Align::Right),
    ("limbo", Align::Right),
    ("high-water", Align::Right),
    ("memory", Align::Right),
];

/// The tree, row by row.
struct Tree<'s, S> {
    sys: &'s S,
    table: Table,
}

impl<S: Sys> Tree<'_, S> {
    fn row(&mut self, depth: usize, name: &str, bank: Cap<Bank>) -> Result<Usage, Error> {
        let usage = bank.usage(self.sys)?;
        self.table.row([
            format!("{}{name}", "  ".repeat(depth)),
            usage.limit.to_string(),
            usage.bought.to_string(),
            usage.limbo.to_string(),
            usage.high_water.to_string(),
            memory(usage.bought + usage.limbo),
        ]);
        Ok(usage)
    }

    /// Banks that others made, and to which init has no capability.
    fn others(&mut self, depth: usize, count: u64) {
        if count > 0 {
            self.table
                .row([format!("{}({count} more)", "  ".repeat(depth))]);
        }
    }
}

impl<H: Host> Init<'_, H> {
    /// The tree of banks: the prime bank, and what init made under it; users' banks under one of
    /// their own; under those port banks, and sessions' banks, which the driver made.
    pub(crate) fn answer_banks(&self) -> String {
        let mut tree = Tree {
            sys: self.host.sys(),
            table: Table::new(COLUMNS),
        };
        let prime = match tree.row(0, "prime (init)", PRIME) {
            Ok(usage) => usage,
            Err(error) => return format!("The prime bank does not answer: {error}\n"),
        };
        let mut left = prime.children;
        // A bank that is being destroyed answers; one that is gone has no row.
        if let Ok(usage) = tree.row(1, crate::ethernet::NAME, self.driver.bank) {
            left = left.saturating_sub(1);
            tree.others(2, usage.children);
        }
        if self.watchdog.has_bank
            && tree
                .row(1, crate::init::WATCHDOG, self.watchdog.bank)
                .is_ok()
        {
            left = left.saturating_sub(1);
        }
        if let Some(guest) = &self.guest
            && let Ok(usage) = tree.row(1, guest.name(), guest.bank)
        {
            left = left.saturating_sub(1);
            tree.others(2, usage.children);
        }
        if let Ok(share) = tree.row(1, share::NAME, self.share.bank) {
            left = left.saturating_sub(1);
            let mut left = share.children;
            for (_, member) in self.members.iter().filter(|(_, member)| member.has_bank) {
                left = left.saturating_sub(self.user_rows(&mut tree, member));
            }
            tree.others(2, left);
        }
        tree.others(1, left);
        let mut text = tree.table.render();
        let used = prime.bought + prime.limbo;
        text.push_str(&format!(
            "{} of {} are free. Amounts are objects of one page, with what lies below.\n",
            memory(prime.limit.saturating_sub(used)),
            memory(prime.limit)
        ));
        text
    }

    /// The rows of a user's bank and of what lies under it; answers how many children of the users' bank
    /// that is.
    fn user_rows(&self, tree: &mut Tree<'_, H::Sys>, member: &Member) -> u64 {
        let Ok(user) = tree.row(2, member.name(), member.slots.bank) else {
            return 0;
        };
        let mut left = user.children;
        let copier = member.user.copier;
        left =
            left.saturating_sub(self.port_rows(tree, 3, member, member.slots.port_bank, !copier));
        if copier && let Ok(usage) = tree.row(3, "copier", member.slots.copier_bank) {
            left = left.saturating_sub(1);
            let ports = self.port_rows(tree, 4, member, member.slots.copier_port_bank, true);
            tree.others(4, usage.children.saturating_sub(ports));
        }
        tree.others(3, left);
        1
    }

    /// The rows of a port bank, and of the session if the driver made it; answers how many children of
    /// the payer's that is.
    fn port_rows(
        &self,
        tree: &mut Tree<'_, H::Sys>,
        depth: usize,
        member: &Member,
        bank: Cap<Bank>,
        drivers: bool,
    ) -> u64 {
        let Ok(usage) = tree.row(depth, "port", bank) else {
            return 0;
        };
        let sessions = match drivers {
            true => self.session_row(tree, depth + 1, member),
            false => 0,
        };
        tree.others(depth + 1, usage.children.saturating_sub(sessions));
        1
    }

    /// The row of a user's session, if there is one; answers how many rows.
    fn session_row(&self, tree: &mut Tree<'_, H::Sys>, depth: usize, member: &Member) -> u64 {
        let Some(port) = member.port.filter(|_| self.driver.is_running()) else {
            return 0;
        };
        let bank: Cap<Bank> = Cap::at(self.driver.scratch);
        clear(self.host, bank.address());
        let asked = self
            .driver
            .admin
            .inspect(self.host.sys(), port.number, bank.address());
        let shown = asked.is_ok() && tree.row(depth, "session", bank).is_ok();
        clear(self.host, bank.address());
        u64::from(shown)
    }
}
