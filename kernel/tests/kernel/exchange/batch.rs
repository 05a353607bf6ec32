//! Exchanges by the batch.

use super::*;

#[test]
fn a_batch_takes_its_segments_out_of_up_to_three_tables() {
    let pair = pair();
    let (parties, set) = (&pair.set.parties, &pair.set);
    let sys = parties.sys(set.driver);
    let before = pair.frames();
    let second: Cap<CapTable> = cap(SCRATCH);
    parties.buy(set.driver, SCRATCH, Kind::CapTable);
    second
        .put(&sys, 127, OTHER.address(), NEEDED)
        .expect("empty");
    let both = [TABLES.address(), TABLES.address(), second.address()];
    let entries = [
        [3, 4, 0, 0],
        [3, 128 + 4, 1, 1],
        [128 + 3, 2 * 128 + 127, 2, 2],
        [3 * 128, 4, 3, 3],
        [3, 5, 3, 3],
        [u16::MAX, u16::MAX, u16::MAX, u16::MAX],
        [3, 3, 60, 61],
    ];
    let (invalid, void) = (errno(EINVAL), VOID);
    assert_eq!(
        pair.batch(&both, &entries),
        (Ok(4), vec![OK, OK, OK, invalid, void, invalid, OK])
    );
    let mut after = before.clone();
    (0..3).for_each(|n| after.swap(n, 64 + n));
    after.swap(60, 61);
    assert_eq!(pair.frames(), after);
    // Tables that are not there, or are something else: without the first nothing can be done, the
    // others are looked at by the entries that name them.
    let one = [[3, 4, 9, 9]];
    assert_eq!(pair.batch(&[], &one).0, Err(VOID));
    assert_eq!(pair.batch(&[slot::MESSAGE], &one).0, Err(errno(EBADF)));
    assert_eq!(
        pair.batch(
            &[TABLES.address(), slot::MESSAGE],
            &[[3, 128 + 4, 9, 9], [3, 4, 8, 8]]
        ),
        (Ok(1), vec![errno(EBADF), OK])
    );
    after.swap(8, 64 + 8);
    assert_eq!(
        pair.batch(&[TABLES.address()], &[[3, 128 + 4, 9, 9]]),
        (Ok(0), vec![VOID])
    );
    ROOT.put(
        &sys,
        SCRATCH + 1,
        TABLES.address(),
        Rights::FULL - Rights::MANAGE,
    )
    .expect("a copy");
    assert_eq!(pair.batch(&[SCRATCH + 1], &one).0, Err(errno(EPERM)));
    assert_eq!(pair.frames(), after);
}

#[test]
fn a_whole_batch_is_forgotten_by_the_cpu() {
    let pair = pair();
    let (parties, set) = (&pair.set.parties, &pair.set);
    let sys = parties.sys(set.driver);
    // One segment is seen twice in the same address space, the other once.
    for (n, segment) in [(301, ONE), (302, OTHER), (303, ONE)] {
        SPACE.map(&sys, n, segment, DATA).expect("empty");
    }
    for count in [1, 4, 5, 32, 64_u16] {
        let entries: Vec<_> = (0..count).map(|n| [3, 4, n, (n * 7) % 64]).collect();
        for place in 0..64 {
            for window in [301, 302, 303] {
                touch(
                    parties,
                    set.driver,
                    (window << 21) + (place << 12),
                    Access::Write,
                );
            }
        }
        let (done, _) = pair.batch(&[TABLES.address()], &entries);
        assert_eq!(done, Ok(u64::from(count)));
        parties.check();
        for place in 0..64 {
            let mapped = pair.frame(set.pages[place as usize]);
            for window in [301, 303] {
                let address = (window << 21) + (place << 12);
                assert_eq!(frame_at(parties, set.driver, address), Some(mapped));
            }
        }
    }
}

#[test]
fn the_batchs_own_page_may_be_among_the_exchanged() {
    let pair = pair();
    let (parties, set) = (&pair.set.parties, &pair.set);
    let sys = parties.sys(set.driver);
    // The driver's message page, mapped in a segment of its own instead of where it was.
    parties.buy(set.driver, SCRATCH, Kind::Table1);
    parties.buy(set.driver, SCRATCH + 1, Kind::Page);
    let (own, page): (Cap<Table>, Cap<Page>) = (cap(SCRATCH), cap(SCRATCH + 1));
    own.map(&sys, 0, page, DATA).expect("empty");
    TABLES.put(&sys, 6, SCRATCH, NEEDED).expect("empty");
    let entries: [[u16; 4]; 3] = [[6, 3, 0, 0], [3, 4, 1, 1], [6, 3, 0, 0]];
    for (n, entry) in entries.iter().enumerate() {
        let word = entry.iter().rev().fold(0, |w, n| w << 16 | u64::from(*n));
        page.write(&sys, 16 * n as u64, word).expect("in the page");
    }
    let caps = [page.address(), TABLES.address()];
    let words = [aperture::EXCHANGE_BATCH, 0, 3];
    let reply = call(parties, set.driver, APERTURE.address(), &words, &caps);
    assert_eq!(
        (reply.status, reply.words[0]),
        (OK, 3),
        "each was read where it stood"
    );
    parties.check();
}
