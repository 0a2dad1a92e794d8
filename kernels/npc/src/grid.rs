//! The nav grid, blob 0 of a task.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 4 | `NAV1` |
//! | 4 | 2 | width in cells, 1 to 1024 |
//! | 6 | 2 | height in cells, 1 to 1024 |
//! | 8 | width * height | rows from y = 0: 0 is a wall, 1 to 255 is what entering the cell costs |
//!
//! Integers are little-endian.

use crate::limits::GRID_SIDE;

const MAGIC: [u8; 4] = *b"NAV1";
const HEADER_BYTES: usize = 8;

/// A place on the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cell {
    /// Column.
    pub x: u16,
    /// Row.
    pub y: u16,
}

/// A rectangle of cells with what it costs to enter each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NavGrid {
    width: u16,
    height: u16,
    costs: Vec<u8>,
}

/// Why bytes are no nav grid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GridError {
    /// Shorter than its header, or another format.
    #[error("a nav grid starts with NAV1 and two sizes, these {bytes} bytes do not")]
    NoGrid {
        /// Length of what was given.
        bytes: usize,
    },
    /// A side is 0 or too long.
    #[error("nav grid of {width} x {height} cells, a side has 1 to {GRID_SIDE}")]
    Size {
        /// Cells across.
        width: u16,
        /// Cells down.
        height: u16,
    },
    /// The cells are not as many as the sizes say.
    #[error("nav grid of {width} x {height} cells carries {cells} of them")]
    Cells {
        /// Cells across.
        width: u16,
        /// Cells down.
        height: u16,
        /// Cells there are.
        cells: usize,
    },
}

/// Bytes of the largest grid.
#[must_use]
pub const fn max_bytes() -> u64 {
    HEADER_BYTES as u64 + GRID_SIDE as u64 * GRID_SIDE as u64
}

impl NavGrid {
    /// A grid from its costs, row by row.
    ///
    /// # Errors
    /// [`GridError`] if sizes and cells do not fit.
    pub fn new(width: u16, height: u16, costs: Vec<u8>) -> Result<Self, GridError> {
        if !(1..=GRID_SIDE).contains(&width) || !(1..=GRID_SIDE).contains(&height) {
            return Err(GridError::Size { width, height });
        }
        if costs.len() != usize::from(width) * usize::from(height) {
            return Err(GridError::Cells { width, height, cells: costs.len() });
        }
        Ok(Self { width, height, costs })
    }

    /// Reads the blob's layout.
    ///
    /// # Errors
    /// [`GridError`].
    pub fn parse(mut bytes: Vec<u8>) -> Result<Self, GridError> {
        let (width, height) = match bytes.first_chunk::<HEADER_BYTES>() {
            Some(&[a, b, c, d, w0, w1, h0, h1]) if [a, b, c, d] == MAGIC => {
                (u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1]))
            }
            _ => return Err(GridError::NoGrid { bytes: bytes.len() }),
        };
        bytes.drain(..HEADER_BYTES);
        Self::new(width, height, bytes)
    }

    /// Writes the blob's layout.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.costs.len());
        bytes.extend(MAGIC);
        bytes.extend(self.width.to_le_bytes());
        bytes.extend(self.height.to_le_bytes());
        bytes.extend(&self.costs);
        bytes
    }

    /// Cells across.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Cells down.
    #[must_use]
    pub fn height(&self) -> u16 {
        self.height
    }

    /// Whether the cell is on the grid.
    #[must_use]
    pub fn contains(&self, cell: Cell) -> bool {
        cell.x < self.width && cell.y < self.height
    }

    /// What entering the cell costs, `None` for a wall and for anything off the grid.
    #[must_use]
    pub fn cost(&self, cell: Cell) -> Option<u8> {
        if !self.contains(cell) {
            return None;
        }
        let index = usize::from(cell.y) * usize::from(self.width) + usize::from(cell.x);
        self.costs.get(index).copied().filter(|&cost| cost > 0)
    }

    /// Whether an agent can stand there.
    #[must_use]
    pub fn is_open(&self, cell: Cell) -> bool {
        self.cost(cell).is_some()
    }
}

impl Cell {
    /// A place.
    #[must_use]
    pub const fn new(x: u16, y: u16) -> Self {
        Self { x, y }
    }

    /// The place so many cells away, `None` off the lower or upper end of the numbers.
    #[must_use]
    pub fn moved(self, dx: i32, dy: i32) -> Option<Self> {
        let x = u16::try_from(i32::from(self.x) + dx).ok()?;
        let y = u16::try_from(i32::from(self.y) + dy).ok()?;
        Some(Self { x, y })
    }

    /// What must be added to come from here to there.
    #[must_use]
    pub fn offset_to(self, other: Self) -> (i32, i32) {
        (i32::from(other.x) - i32::from(self.x), i32::from(other.y) - i32::from(self.y))
    }

    /// Cells between two places when moving in eight directions.
    #[must_use]
    pub fn distance(self, other: Self) -> u16 {
        self.x.abs_diff(other.x).max(self.y.abs_diff(other.y))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_round_trips_and_lies_are_refused() {
        let grid = NavGrid::new(3, 2, vec![1, 0, 2, 255, 1, 1]).expect("sizes fit");
        let bytes = grid.to_bytes();
        assert_eq!(bytes, *b"NAV1\x03\x00\x02\x00\x01\x00\x02\xff\x01\x01");
        assert_eq!(NavGrid::parse(bytes.clone()), Ok(grid));

        let check = |bytes: &[u8], message: &str| {
            let error = NavGrid::parse(bytes.to_vec()).expect_err(message);
            assert_eq!(error.to_string(), message);
        };
        check(b"", "a nav grid starts with NAV1 and two sizes, these 0 bytes do not");
        check(b"NAV2\x01\x00\x01\x00\x01", "a nav grid starts with NAV1 and two sizes, these 9 bytes do not");
        check(b"NAV1\x00\x00\x01\x00", "nav grid of 0 x 1 cells, a side has 1 to 1024");
        check(b"NAV1\x01\x04\x01\x00", "nav grid of 1025 x 1 cells, a side has 1 to 1024");
        check(&bytes[..13], "nav grid of 3 x 2 cells carries 5 of them");
        check(b"NAV1\x00\x04\x00\x04", "nav grid of 1024 x 1024 cells carries 0 of them");
    }

    #[test]
    fn walls_and_the_outside_are_closed() {
        let grid = NavGrid::new(2, 1, vec![7, 0]).expect("sizes fit");
        assert_eq!(grid.cost(Cell::new(0, 0)), Some(7));
        for cell in [Cell::new(1, 0), Cell::new(2, 0), Cell::new(0, 1), Cell::new(u16::MAX, u16::MAX)] {
            assert!(!grid.is_open(cell), "{cell:?}");
        }
    }
}
