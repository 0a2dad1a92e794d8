//! Writes an input for `p2c2r run`: `cargo run --example task -- numbers.bin`.

use p2c2r_guest::{Postcard, encode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("name the file to write")?;
    let numbers: Vec<u32> = (1..=1000).collect();
    let input = encode(Postcard(numbers)).map_err(|failure| failure.message().to_owned())?;
    std::fs::write(file, input)?;
    Ok(())
}
