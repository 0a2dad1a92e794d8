//! The eight ways to leave a cell.

use crate::grid::{Cell, NavGrid};

/// A step to a neighbouring cell; x grows to the east, y to the south. The number is the byte in the layout, less one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Direction {
    /// x + 1
    East = 0,
    /// y + 1
    South = 1,
    /// x - 1
    West = 2,
    /// y - 1
    North = 3,
    /// x + 1, y + 1
    SouthEast = 4,
    /// x - 1, y + 1
    SouthWest = 5,
    /// x - 1, y - 1
    NorthWest = 6,
    /// x + 1, y - 1
    NorthEast = 7,
}

impl Direction {
    /// All of them by number, straight ones first.
    pub const ALL: [Self; 8] = [
        Self::East,
        Self::South,
        Self::West,
        Self::North,
        Self::SouthEast,
        Self::SouthWest,
        Self::NorthWest,
        Self::NorthEast,
    ];

    /// What it adds to x and y.
    #[must_use]
    pub const fn offset(self) -> (i32, i32) {
        match self {
            Self::East => (1, 0),
            Self::South => (0, 1),
            Self::West => (-1, 0),
            Self::North => (0, -1),
            Self::SouthEast => (1, 1),
            Self::SouthWest => (-1, 1),
            Self::NorthWest => (-1, -1),
            Self::NorthEast => (1, -1),
        }
    }

    /// The direction that adds this much.
    #[must_use]
    pub fn of_offset(offset: (i32, i32)) -> Option<Self> {
        Self::ALL.into_iter().find(|direction| direction.offset() == offset)
    }

    /// The direction from a cell to one beside it.
    #[must_use]
    pub fn between(from: Cell, to: Cell) -> Option<Self> {
        Self::of_offset(from.offset_to(to))
    }

    /// Whether it changes both x and y.
    #[must_use]
    pub const fn is_diagonal(self) -> bool {
        self as u8 >= Self::SouthEast as u8
    }
}

impl NavGrid {
    /// The cell one step away, if an agent may go there: it is open, and so are the two cells a diagonal step passes between.
    #[must_use]
    pub fn step(&self, from: Cell, direction: Direction) -> Option<Cell> {
        let (dx, dy) = direction.offset();
        let open = |dx, dy| from.moved(dx, dy).filter(|&cell| self.is_open(cell));
        if direction.is_diagonal() {
            open(dx, 0)?;
            open(0, dy)?;
        }
        open(dx, dy)
    }

    /// What a step into `to` costs, in tenths of a straight step into a cell of cost 1; 0 for a wall.
    #[must_use]
    pub fn step_cost(&self, to: Cell, direction: Direction) -> u32 {
        // Ten times the root of 2, rounded down.
        let tenths = if direction.is_diagonal() { 14 } else { 10 };
        tenths * u32::from(self.cost(to).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_name_directions() {
        for (number, direction) in Direction::ALL.into_iter().enumerate() {
            assert_eq!(direction as usize, number);
            assert_eq!(Direction::of_offset(direction.offset()), Some(direction));
            let (dx, dy) = direction.offset();
            assert_eq!(direction.is_diagonal(), dx != 0 && dy != 0);
        }
        assert_eq!(Direction::of_offset((0, 0)), None);
        assert_eq!(Direction::between(Cell::new(3, 3), Cell::new(2, 4)), Some(Direction::SouthWest));
        assert_eq!(Direction::between(Cell::new(3, 3), Cell::new(5, 3)), None);
    }

    #[test]
    fn steps_stay_on_open_cells_and_cut_no_corners() {
        let grid = NavGrid::new(2, 2, vec![1, 0, 3, 1]).expect("sizes fit");
        let corner = Cell::new(0, 0);
        assert_eq!(grid.step(corner, Direction::South), Some(Cell::new(0, 1)));
        for closed in [Direction::East, Direction::SouthEast, Direction::North, Direction::West] {
            assert_eq!(grid.step(corner, closed), None, "{closed:?}");
        }
        assert_eq!(grid.step_cost(Cell::new(0, 1), Direction::South), 30);
        assert_eq!(grid.step_cost(Cell::new(1, 1), Direction::SouthEast), 14);
    }
}
