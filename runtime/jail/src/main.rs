//! `p2c2r-worker`: the process kernels are compiled and run in. Started by a peer; of no use to anybody else.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    p2c2r_jail::worker::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("p2c2r-worker: there is no jail on this system; the peer runs kernels in its own process");
    std::process::ExitCode::FAILURE
}
