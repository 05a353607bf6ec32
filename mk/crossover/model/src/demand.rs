//! What a frame asks of each price.

use crate::{Cost, Event, Events, MILLI, PRICES, Price, Prices, Ranges, Situation, Source, UNIT};

/// How a frame came to its recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// By a copy: on one CPU the copy is still hot when it is read, for another CPU it is in the cache.
    Copied,
    /// As the page that the device wrote: read from where the device left it.
    Flipped,
}

/// How often each price is to be paid, in millionths. A difference of two may be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand([i128; PRICES]);

impl Demand {
    /// Nothing.
    pub const NONE: Demand = Demand([0; PRICES]);

    /// What a frame of `bytes` bytes asks that cost `events` and is then read. `read_share` is
    /// [`Price::ReadShare`]'s value: it couples reading to copying, so it isn't a summand.
    pub fn of(
        events: &Events,
        delivery: Delivery,
        bytes: u32,
        situation: &Situation,
        read_share: u64,
    ) -> Demand {
        let mut demand = Demand::NONE;
        let count = |event: Event| i128::from(events.of(event));
        match events.instructions() {
            Some(instructions) => {
                demand.add(Price::Instruction, i128::from(instructions));
                demand.add(Price::Trap, count(Event::Traps));
            }
            None => {
                demand.add(Price::GuessedTrap, count(Event::Traps));
                demand.add(Price::GuessedExchange, count(Event::Exchanges));
                demand.add(Price::GuessedNotification, count(Event::Notifications));
                demand.add(Price::GuessedPin, count(Event::Pins) + count(Event::Unpins));
            }
        }
        demand.add(Price::Entry, count(Event::Entries));
        demand.add(Price::PageFlush, count(Event::PageFlushes));
        demand.add(Price::FullFlush, count(Event::FullFlushes));
        demand.add(Price::Refill, count(Event::Exchanges));
        demand.add(Price::Switch, count(Event::Switches));
        demand.add(Price::Shootdown, count(Event::Shootdowns));
        let more = i128::from(situation.cpus.saturating_sub(2));
        demand.add(Price::ShootdownMore, count(Event::Shootdowns) * more);
        demand.add(Price::ZeroedByte, count(Event::ZeroedBytes));
        demand.add(Price::IommuMap, count(Event::IommuMaps));
        demand.add(Price::IommuUnmap, count(Event::IommuUnmaps));
        demand.add(Price::IommuInvalidation, count(Event::IommuInvalidations));
        demand.add(Price::IommuWait, count(Event::IommuWaits));
        let (copy, byte) = copying(situation.source);
        demand.add(copy, count(Event::Copies));
        demand.add(byte, count(Event::BytesCopied));
        demand.read(delivery, bytes, situation, read_share);
        demand
    }

    fn read(&mut self, delivery: Delivery, bytes: u32, situation: &Situation, read_share: u64) {
        let read = i128::from(situation.touched.bytes(bytes));
        if read == 0 {
            return;
        }
        let unit = i128::from(UNIT);
        let source = match delivery {
            Delivery::Copied if situation.cpus < 2 => {
                self.add(Price::HotRead, unit);
                self.add(Price::HotByte, read * unit);
                return;
            }
            Delivery::Copied => Source::Cache,
            Delivery::Flipped => situation.source,
        };
        let share = unit * i128::from(read_share) / i128::from(MILLI);
        let (copy, byte) = copying(source);
        self.add(copy, share);
        self.add(byte, read * share);
    }

    fn add(&mut self, price: Price, millionths: i128) {
        self.0[price as usize] += millionths;
    }

    /// What it asks more than another.
    pub fn less(&self, other: &Demand) -> Demand {
        let mut difference = *self;
        for (mine, theirs) in difference.0.iter_mut().zip(other.0) {
            *mine -= theirs;
        }
        difference
    }

    /// How often a price is to be paid, in millionths.
    pub const fn asked(&self, price: Price) -> i128 {
        self.0[price as usize]
    }

    /// What it costs.
    pub fn cost(&self, prices: &Prices) -> Cost {
        Cost(
            self.0
                .iter()
                .zip(prices.0)
                .map(|(count, price)| count * i128::from(price))
                .sum(),
        )
    }

    /// The least that it may cost: each price at the end of its range that makes it so.
    pub fn least(&self, ranges: &Ranges) -> Cost {
        self.extreme(&ranges.low, &ranges.high)
    }

    /// The most that it may cost.
    pub fn most(&self, ranges: &Ranges) -> Cost {
        self.extreme(&ranges.high, &ranges.low)
    }

    fn extreme(&self, asked: &Prices, saved: &Prices) -> Cost {
        let mut sum = 0;
        for (index, &count) in self.0.iter().enumerate() {
            let price = match count < 0 {
                true => saved.0[index],
                false => asked.0[index],
            };
            sum += count * i128::from(price);
        }
        Cost(sum)
    }
}

/// The two prices of copying from a place.
const fn copying(source: Source) -> (Price, Price) {
    match source {
        Source::Cache => (Price::CacheCopy, Price::CacheByte),
        Source::Dram => (Price::DramCopy, Price::DramByte),
    }
}
