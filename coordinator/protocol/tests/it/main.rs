//! The codec against every message, against hostile bytes, and against other versions of itself.

mod forward;
#[path = "../../../../fuzz/bodies/frame.rs"]
mod frame_body;
mod golden;
mod hostile;
mod round_trip;
mod strategy;
