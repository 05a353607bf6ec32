//! What must hold of the vectors, whatever they come to: as one of the checks of `test`.

use anyhow::Result;
use crossover::vectors::{ReadBy, Row, Strategy};

use super::{Plan, measure};
use crate::verbs::Prepared;

/// Bytes of a frame that a page holds: it begins at the sixteenth.
const A_PAGE: u64 = 4080;

/// Bytes of a page.
const PAGE: u64 = 4096;

/// Counts a few frames of each kind. Answers what is wrong, a line each. That two boots agree in every
/// number, and the kernel with the plugin, is seen to by [`measure`].
///
/// # Errors
/// As for [`measure`].
pub fn check(prepared: &Prepared) -> Result<Vec<String>> {
    let plan = Plan {
        sizes: vec![64, 1514, 4097],
        batches: vec![1, 8],
        touched: vec![ReadBy::None, ReadBy::Header],
        frames: 32,
        ..Plan::full()
    };
    let measured = measure(prepared, &plan, &|_, _| {})?;
    let rows = measured.vectors.rows();
    let mut wrong: Vec<String> = rows.iter().filter_map(fault).collect();
    let expected = plan.sizes.len() * plan.batches.len() * plan.strategies.len();
    if rows.len() < expected {
        wrong.push(format!("{} rows instead of {expected}", rows.len()));
    }
    Ok(wrong)
}

/// What is wrong with a row.
fn fault(row: &Row) -> Option<String> {
    let bytes = row.frames * u64::from(row.bytes);
    let pages = row.frames * u64::from(row.bytes).div_ceil(A_PAGE);
    let (copied, exchanges, zeroed) = match row.strategy {
        Strategy::Copy => (bytes, 0, 0),
        Strategy::InPlace => (0, 0, 0),
        Strategy::Exchange => (0, pages, 0),
        Strategy::Sealed => (0, pages, pages * PAGE - bytes),
    };
    for (what, is, should) in [
        ("bytes copied", row.bytes_copied, copied),
        ("pages exchanged", row.exchanges, exchanges),
        ("entries written", row.entries_written, 2 * exchanges),
        ("bytes zeroed", row.zeroed_bytes, zeroed),
    ] {
        if is != should {
            return Some(format!("{row}: {is} {what}, not {should}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossover::vectors::{Iommu, Kind, Setting};

    fn row(strategy: Strategy, bytes: u32) -> Row {
        let setting = Setting {
            strategy,
            batch: 1,
            read: ReadBy::Any,
            cpus: 1,
            iommu: Iommu::Off,
        };
        Row::new(Kind::Counted, setting, bytes, 10)
    }

    #[test]
    fn a_copy_moves_exactly_the_frames_bytes() {
        let mut copy = row(Strategy::Copy, 100);
        copy.bytes_copied = 1000;
        assert_eq!(fault(&copy), None);
        copy.bytes_copied = 1016;
        assert!(
            fault(&copy)
                .unwrap()
                .contains("1016 bytes copied, not 1000")
        );
    }

    #[test]
    fn an_exchange_writes_two_entries_a_page_and_delivery_in_place_none() {
        let mut exchange = row(Strategy::Exchange, 4081);
        (exchange.exchanges, exchange.entries_written) = (20, 40);
        assert_eq!(fault(&exchange), None);
        exchange.entries_written = 41;
        assert!(fault(&exchange).is_some());
        let mut in_place = row(Strategy::InPlace, 64);
        assert_eq!(fault(&in_place), None);
        in_place.entries_written = 1;
        assert!(fault(&in_place).is_some());
    }

    #[test]
    fn sealing_zeroes_what_the_frame_leaves() {
        let mut sealed = row(Strategy::Sealed, 96);
        (sealed.exchanges, sealed.entries_written) = (10, 20);
        sealed.zeroed_bytes = 40_000;
        assert_eq!(fault(&sealed), None);
        sealed.zeroed_bytes = 0;
        assert!(fault(&sealed).is_some());
    }
}
