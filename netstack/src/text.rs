//! Small things in words.

use core::fmt;

use crate::packet::Mac;

/// A MAC address as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShowMac(pub Mac);

impl fmt::Display for ShowMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
