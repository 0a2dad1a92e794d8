//! Lines for the author. They are no part of a result and a host may drop them.

use core::fmt;

use p2c2r_abi::level;

use crate::failure::truncate;
use crate::limits::LOG_LINE_BYTES;
use crate::sys;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum Level {
    /// Detail for the author.
    Debug = level::DEBUG,
    /// Worth knowing.
    Info = level::INFO,
    /// Something is off.
    Warn = level::WARN,
    /// The message of a panic; the trap follows.
    Panic = level::PANIC,
}

/// Writes a line; [`debug!`](crate::debug), [`info!`](crate::info) and [`warn!`](crate::warn) call it. Cut at [`LOG_LINE_BYTES`].
pub fn write(level: Level, line: fmt::Arguments<'_>) {
    let mut line = alloc::fmt::format(line);
    truncate(&mut line, LOG_LINE_BYTES);
    sys::log(level as i32, &line);
}

/// Logs a line of detail, with `format!` syntax.
#[macro_export]
macro_rules! debug {
    ($($arg:tt)*) => { $crate::log::write($crate::Level::Debug, ::core::format_args!($($arg)*)) };
}

/// Logs a line worth knowing, with `format!` syntax.
#[macro_export]
macro_rules! info {
    ($($arg:tt)*) => { $crate::log::write($crate::Level::Info, ::core::format_args!($($arg)*)) };
}

/// Logs that something is off, with `format!` syntax.
#[macro_export]
macro_rules! warn {
    ($($arg:tt)*) => { $crate::log::write($crate::Level::Warn, ::core::format_args!($($arg)*)) };
}

/// In Wasm a panic is one line at level panic, then `unreachable`. Native tests keep their own hook.
pub(crate) fn install_panic_hook() {
    #[cfg(all(target_arch = "wasm32", feature = "std"))]
    std::panic::set_hook(Box::new(|info| write(Level::Panic, format_args!("{info}"))));
}

#[cfg(all(target_arch = "wasm32", not(feature = "std"), feature = "panic-handler"))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    write(Level::Panic, format_args!("{info}"));
    core::arch::wasm32::unreachable()
}
