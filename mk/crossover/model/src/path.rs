//! The events of one strategy, by frame size.

use crate::Events;

/// What a frame of some size cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The frame's length.
    pub bytes: u32,
    /// What it cost.
    pub events: Events,
}

/// Points that make no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// There is none.
    Empty,
    /// A frame of no bytes.
    NoBytes,
    /// A size isn't above the one before it.
    NotAscending {
        /// The size.
        bytes: u32,
    },
    /// Some have instructions and some don't.
    Uneven {
        /// The first size that differs from the ones before it.
        bytes: u32,
    },
}

impl core::fmt::Display for PathError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            PathError::Empty => f.write_str("there is no size at all"),
            PathError::NoBytes => f.write_str("a frame of no bytes"),
            PathError::NotAscending { bytes } => {
                write!(f, "{bytes} bytes are there twice, or out of order")
            }
            PathError::Uneven { bytes } => write!(
                f,
                "at {bytes} bytes instructions are counted or not, unlike at the sizes below"
            ),
        }
    }
}

impl core::error::Error for PathError {}

/// The events of one strategy, by frame size: straight lines between the points that were counted.
/// Nothing is said about sizes outside them.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    points: &'a [Point],
}

impl<'a> Path<'a> {
    /// A path through points.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn new(points: &'a [Point]) -> Result<Path<'a>, PathError> {
        let first = points.first().ok_or(PathError::Empty)?;
        if first.bytes == 0 {
            return Err(PathError::NoBytes);
        }
        for pair in points.windows(2) {
            let bytes = pair[1].bytes;
            if bytes <= pair[0].bytes {
                return Err(PathError::NotAscending { bytes });
            }
            if pair[1].events.instructions().is_some() != first.events.instructions().is_some() {
                return Err(PathError::Uneven { bytes });
            }
        }
        Ok(Path { points })
    }

    /// The points.
    pub const fn points(&self) -> &'a [Point] {
        self.points
    }

    /// The smallest and the largest size.
    pub fn sizes(&self) -> (u32, u32) {
        match self.points {
            [first, .., last] => (first.bytes, last.bytes),
            [only] => (only.bytes, only.bytes),
            [] => (0, 0),
        }
    }

    /// Whether instructions were counted.
    pub fn counted(&self) -> bool {
        self.points
            .first()
            .is_some_and(|point| point.events.instructions().is_some())
    }

    /// The events of a frame. `None`: it is shorter or longer than any that was counted.
    pub fn at(&self, bytes: u32) -> Option<Events> {
        let above = self.points.partition_point(|point| point.bytes < bytes);
        let upper = self.points.get(above)?;
        if upper.bytes == bytes {
            return Some(upper.events);
        }
        let lower = self.points.get(above.checked_sub(1)?)?;
        let done = bytes - lower.bytes;
        let whole = upper.bytes - lower.bytes;
        Some(lower.events.between(&upper.events, done, whole))
    }
}
