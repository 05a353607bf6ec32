//! Accesses to memory of the tests' own.

use super::*;

fn pair() -> ([u64; 64], [u64; 64]) {
    (
        core::array::from_fn(|n| n as u64 * 0x0101_0101_0101_0101),
        [0; 64],
    )
}

/// A mapping over memory that the test holds exclusively while it uses it.
fn over(memory: &mut [u64]) -> Mapping {
    let address = memory.as_mut_ptr().expose_provenance();
    // SAFETY: the test touches the array by this mapping alone as long as it uses it.
    unsafe { Mapping::new(address, size_of_val(memory)) }
}

fn accesses(memory: &impl Mem) {
    memory.store_u64(8, 0x1122_3344_5566_7788).unwrap();
    memory.store_u32(8, 0xAABB_CCDD).unwrap();
    memory.store_u16(12, 0xEEFF).unwrap();
    memory.store_u8(15, 0x99).unwrap();
    assert_eq!(memory.load_u64(8), Ok(0x9922_EEFF_AABB_CCDD));
    assert_eq!(memory.acquire_u32(12), Ok(0x9922_EEFF));
    assert_eq!(memory.load_u16(14), Ok(0x9922));
    assert_eq!(memory.load_u8(9), Ok(0xCC));
    assert_eq!(memory.load_u64(505), Err(Fault::OutOfRange));
    assert_eq!(memory.load_u32(510), Err(Fault::OutOfRange));
    assert_eq!(memory.load_u8(512), Err(Fault::OutOfRange));
    assert_eq!(memory.load_u64(usize::MAX - 7), Err(Fault::OutOfRange));
    assert_eq!(
        memory.store_u32(2, 1),
        Err(Fault::OutOfRange),
        "not aligned"
    );
    assert_eq!(memory.write(500, &[0; 13]), Err(Fault::OutOfRange));
    let mut bytes = [0; 7];
    memory.read(9, &mut bytes).unwrap();
    assert_eq!(bytes, [0xCC, 0xBB, 0xAA, 0xFF, 0xEE, 0x22, 0x99]);
}

#[test]
fn each_access_has_its_width_and_stays_inside() {
    let (mut one, mut other) = pair();
    accesses(&over(&mut one));
    accesses(&RevocableMapping(over(&mut other)));
}

#[test]
fn regions_outside_shared_memory_are_copied_by_pieces() {
    let (mut one, mut other) = pair();
    let (from, to) = (over(&mut one), RevocableMapping(over(&mut other)));
    assert_eq!(copy_between(from.direct().unwrap(), 0, &to, 0, 8), None);
    from.copy_to(16, &to, 3, 450).unwrap();
    assert_eq!(to.copy_to(64, &from, 0, 449), Err(Fault::OutOfRange));
    let mut bytes = [0; 453];
    to.read(0, &mut bytes).unwrap();
    assert_eq!(bytes[..12], [0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2, 3]);
}

#[test]
fn parts_stay_inside() {
    let (mut one, _) = pair();
    let whole = over(&mut one);
    let part = whole.part(256, 256).unwrap();
    assert_eq!(part.load_u8(0), whole.load_u8(256));
    assert_eq!(part.load_u8(256), Err(Fault::OutOfRange));
    assert_eq!(whole.part(256, 257), Err(Fault::OutOfRange));
    assert_eq!(whole.part(usize::MAX, 2), Err(Fault::OutOfRange));
}
