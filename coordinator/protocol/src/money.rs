//! Money on the wire and in the ledger: integer nano-USD.

use core::fmt;

use serde::{Deserialize, Serialize};

/// An amount in nano-USD (10^-9 USD). 18.4 billion USD fit. No `Mul`, no floats, no silent overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Credits(u64);

impl Credits {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount in nano-USD.
    #[must_use]
    pub const fn from_nano_usd(nano_usd: u64) -> Self {
        Self(nano_usd)
    }

    /// The amount in nano-USD.
    #[must_use]
    pub const fn nano_usd(self) -> u64 {
        self.0
    }

    /// Sum, unless it overflows.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// Difference, unless it would be negative.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// `rate` per unit for `units`, unless it overflows.
    #[must_use]
    pub const fn checked_price(rate: Self, units: u64) -> Option<Self> {
        match rate.0.checked_mul(units) {
            Some(price) => Some(Self(price)),
            None => None,
        }
    }

    /// `floor(self * numerator / denominator)` for a fraction of at most 1.
    ///
    /// # Panics
    /// If `numerator > denominator` or the denominator is 0: a bug of the caller, never input.
    #[must_use]
    pub fn share(self, numerator: u64, denominator: u64) -> Self {
        assert!(numerator <= denominator && denominator > 0, "share {numerator}/{denominator} is not a fraction");
        let product = u128::from(self.0) * u128::from(numerator);
        Self(u64::try_from(product / u128::from(denominator)).expect("a fraction of a u64 fits"))
    }
}

impl fmt::Display for Credits {
    /// Dollars with nine decimals: `0.000012500 USD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09} USD", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}
