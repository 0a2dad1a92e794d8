//! The codec against every message, against hostile bytes, and against other versions of itself.

mod forward;
mod golden;
mod hostile;
mod round_trip;
mod strategy;
