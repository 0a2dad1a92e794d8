//! Kernel `NAME`: adds numbers up.

use p2c2r_guest::{Context, Failure, Postcard, kernel};

/// The kernel: numbers in, their sum out, one unit a number.
///
/// # Errors
/// A failure with code 1 if there are none.
#[kernel]
pub fn sum(ctx: &mut Context, Postcard(numbers): Postcard<Vec<u32>>) -> Result<Postcard<u64>, Failure> {
    if numbers.is_empty() {
        return Err(Failure::new(1, "nothing to add"));
    }
    ctx.charge(numbers.len() as u64);
    Ok(Postcard(numbers.into_iter().map(u64::from).sum()))
}
