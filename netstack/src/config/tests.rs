//! What a configuration may be, and may not.

use super::*;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn with_ipv4(address: [u8; 4], prefix_length: u8, gateway: Option<[u8; 4]>) -> Config {
    Config {
        ipv4: Ipv4::Static {
            address: address.into(),
            prefix_length,
            gateway: gateway.map(Into::into),
        },
        ..Config::new("alice", MAC)
    }
}

#[test]
fn survives_postcard() {
    let config = with_ipv4([10, 0, 2, 21], 24, Some([10, 0, 2, 2]));
    let bytes = postcard::to_allocvec(&config).unwrap();
    assert_eq!(postcard::from_bytes::<Config>(&bytes).unwrap(), config);
}

#[test]
fn hosts_are_told_from_networks_and_broadcasts() {
    assert_eq!(with_ipv4([10, 0, 2, 21], 24, None).check(), Ok(()));
    assert_eq!(with_ipv4([10, 0, 2, 0], 31, None).check(), Ok(()));
    assert_eq!(with_ipv4([10, 0, 2, 255], 32, None).check(), Ok(()));
    for (address, length) in [
        ([10, 0, 2, 0], 24),
        ([10, 0, 2, 255], 24),
        ([10, 0, 2, 1], 0),
        ([10, 0, 2, 1], 33),
        ([127, 0, 0, 1], 8),
        ([224, 0, 0, 1], 8),
        ([0, 0, 0, 1], 8),
    ] {
        let error = with_ipv4(address, length, None).check();
        assert_eq!(error, Err(ConfigError::Ipv4Address(address.into(), length)));
    }
}

#[test]
fn routers_must_be_neighbours() {
    let ok = with_ipv4([10, 0, 2, 21], 24, Some([10, 0, 2, 2]));
    assert_eq!(ok.check(), Ok(()));
    for gateway in [[10, 0, 3, 2], [10, 0, 2, 21], [10, 0, 2, 255]] {
        let error = with_ipv4([10, 0, 2, 21], 24, Some(gateway)).check();
        assert_eq!(error, Err(ConfigError::Ipv4Gateway(gateway.into())));
    }
    let mut config = Config::new("alice", MAC);
    let address = "fd00::21".parse().unwrap();
    for (gateway, right) in [("fd00::1", true), ("fe80::1", true), ("fd01::1", false)] {
        config.ipv6 = Ipv6::Static {
            address,
            prefix_length: 64,
            gateway: Some(gateway.parse().unwrap()),
        };
        assert_eq!(config.check().is_ok(), right, "{gateway}");
    }
}

#[test]
fn limits_are_bounded() {
    let mut config = Config::new("alice", MAC);
    config.limits.receive_buffer = 1;
    let error = config.check().unwrap_err();
    assert_eq!(
        alloc::format!("{error}"),
        "receive_buffer is 1, must be 2048 to 16777216"
    );
    config.limits = Limits::default().within(1 << 20);
    assert_eq!(config.limits.memory, 512 * 1024);
    assert_eq!(config.limits.send_buffer, 64 * 1024);
    assert_eq!(config.check(), Ok(()));
}
