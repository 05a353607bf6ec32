//! Prices to start from where nothing better is known.

use crate::{MILLI, PRICES, Price, Prices};

const fn ticks(mut prices: Prices, price: Price, ticks: u64) -> Prices {
    prices = prices.with(price, ticks * MILLI);
    prices
}

/// Likely prices of a server of 2023, from the literature and estimates: those of the crossover
/// bench's profile `sapphire-rapids.toml`, which gives each one's source. A driver replaces what it
/// can measure at boot, such as copies ([`Prices::with`], [`fit`](crate::fit())).
pub const MODERN: Prices = {
    let mut prices = Prices::new([0; PRICES]);
    prices = ticks(prices, Price::Trap, 130);
    prices = prices.with(Price::Instruction, 500);
    prices = ticks(prices, Price::GuessedTrap, 400);
    prices = ticks(prices, Price::GuessedExchange, 250);
    prices = ticks(prices, Price::GuessedNotification, 753);
    prices = ticks(prices, Price::GuessedPin, 1200);
    prices = ticks(prices, Price::Entry, 20);
    prices = ticks(prices, Price::PageFlush, 150);
    prices = ticks(prices, Price::FullFlush, 2028);
    prices = ticks(prices, Price::Refill, 70);
    prices = ticks(prices, Price::Switch, 186);
    prices = ticks(prices, Price::Shootdown, 2000);
    prices = ticks(prices, Price::ShootdownMore, 250);
    prices = prices.with(Price::ZeroedByte, 40);
    prices = ticks(prices, Price::IommuMap, 600);
    prices = ticks(prices, Price::IommuUnmap, 600);
    prices = ticks(prices, Price::IommuInvalidation, 800);
    prices = ticks(prices, Price::IommuWait, 1330);
    prices = ticks(prices, Price::CacheCopy, 95);
    prices = prices.with(Price::CacheByte, 55);
    prices = ticks(prices, Price::DramCopy, 255);
    prices = prices.with(Price::DramByte, 150);
    prices = ticks(prices, Price::HotRead, 12);
    prices = prices.with(Price::HotByte, 9);
    prices.with(Price::ReadShare, 960)
};
