//! Planes of items, as images, grids and heightfields are: what the skeletons `map2d` and `stencil2d` run over on the GPU, and
//! both of them on the CPU.
//!
//! ```
//! use p2c2r_guest::Plane;
//!
//! let plane = Plane::new(3, 2)?;
//! let heights = [1, 5, 2, 0, 4, 7];
//! let beside = plane.stencil(&heights, |cells, [x, y]| cells.clamped([x - 1, y]).max(cells.clamped([x + 1, y])))?;
//! assert_eq!(beside, [5, 2, 5, 4, 7, 7]);
//! # Ok::<(), p2c2r_guest::PlaneError>(())
//! ```

use alloc::vec::Vec;

use crate::failure::Failure;
use crate::limits::PLANE_SIDE;

/// The size of a plane of items that lie row by row: that of column `x` and row `y` is at `y * width + x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Plane {
    width: u32,
    height: u32,
}

/// Why something is no plane.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaneError {
    /// It has no columns or rows, or too many.
    #[error("the {side} of a plane is {got}, must be 1 to {PLANE_SIDE}")]
    Side {
        /// Width or height.
        side: &'static str,
        /// What it was to be.
        got: u32,
    },
    /// It has not one item for each place.
    #[error("{buffer:?} holds {got} items, a plane of {width} x {height} has {}", .width * .height)]
    Items {
        /// What it is called where it is asked for.
        buffer: &'static str,
        /// How many there are.
        got: usize,
        /// Columns of the plane.
        width: u32,
        /// Its rows.
        height: u32,
    },
}

/// A size comes from the input as a rule, so that is what the failure blames.
impl From<PlaneError> for Failure {
    fn from(error: PlaneError) -> Self {
        Self::bad_input(error)
    }
}

/// The cells that [`Plane::stencil`] reads.
#[derive(Debug, Clone, Copy)]
pub struct Cells<'a, T> {
    plane: Plane,
    cells: &'a [T],
}

impl Plane {
    /// A plane of `width` columns and `height` rows.
    ///
    /// # Errors
    /// [`PlaneError::Side`] if one of them is not 1 to [`PLANE_SIDE`].
    pub const fn new(width: u32, height: u32) -> Result<Self, PlaneError> {
        match (width, height) {
            (1..=PLANE_SIDE, 1..=PLANE_SIDE) => Ok(Self { width, height }),
            (1..=PLANE_SIDE, got) => Err(PlaneError::Side { side: "height", got }),
            (got, _) => Err(PlaneError::Side { side: "width", got }),
        }
    }

    /// Number of columns.
    #[must_use]
    pub const fn width(self) -> u32 {
        self.width
    }

    /// Number of rows.
    #[must_use]
    pub const fn height(self) -> u32 {
        self.height
    }

    /// Number of places, at most 2^26.
    #[must_use]
    pub const fn places(self) -> usize {
        (self.width * self.height) as usize
    }

    /// The skeleton `map2d` on the CPU: replaces every item by what `item` makes of its column and row and of itself.
    ///
    /// # Errors
    /// [`PlaneError::Items`] if they are not as many as there are places.
    pub fn map<T: Copy>(self, items: &mut [T], mut item: impl FnMut([u32; 2], T) -> T) -> Result<(), PlaneError> {
        self.check("items", items.len())?;
        for (at, place) in self.each().zip(items) {
            *place = item(at, *place);
        }
        Ok(())
    }

    /// The skeleton `stencil2d` on the CPU: what `cell` makes of the cells around each column and row.
    ///
    /// # Errors
    /// [`PlaneError::Items`] if `from` are not as many as there are places.
    pub fn stencil<T: Copy>(
        self,
        from: &[T],
        mut cell: impl FnMut(Cells<'_, T>, [i32; 2]) -> T,
    ) -> Result<Vec<T>, PlaneError> {
        self.check("from", from.len())?;
        let cells = Cells { plane: self, cells: from };
        Ok(self.each().map(|at| cell(cells, at.map(u32::cast_signed))).collect())
    }

    pub(crate) const fn check(self, buffer: &'static str, got: usize) -> Result<(), PlaneError> {
        let Self { width, height } = self;
        if got == self.places() { Ok(()) } else { Err(PlaneError::Items { buffer, got, width, height }) }
    }

    /// Column and row of each place, in their order.
    fn each(self) -> impl Iterator<Item = [u32; 2]> {
        (0..self.height).flat_map(move |y| (0..self.width).map(move |x| [x, y]))
    }
}

impl<T: Copy> Cells<'_, T> {
    /// `stencil2d_clamped`: the cell at a column and row; past an edge, the nearest one.
    #[must_use]
    pub fn clamped(self, at: [i32; 2]) -> T {
        self.at(at, |at, side| at.clamp(0, side - 1))
    }

    /// `stencil2d_wrapped`: the cell at a column and row; past an edge the plane begins again at the other side, however far it is.
    #[must_use]
    pub fn wrapped(self, at: [i32; 2]) -> T {
        self.at(at, i32::rem_euclid)
    }

    /// The cell at what `inside` makes of a column or row and of how many there are.
    fn at(self, [x, y]: [i32; 2], inside: impl Fn(i32, i32) -> i32) -> T {
        let Plane { width, height } = self.plane;
        let column = inside(x, width.cast_signed());
        let row = inside(y, height.cast_signed());
        self.cells[(row * width.cast_signed() + column) as usize]
    }
}
