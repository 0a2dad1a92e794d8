//! The worker of the jail without resource limits, to measure what they cost. No peer starts it.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use p2c2r_jail::worker::{Walls, main_behind};
    main_behind(Walls { outer: true, limits: false })
}

#[cfg(not(target_os = "linux"))]
fn main() {}
