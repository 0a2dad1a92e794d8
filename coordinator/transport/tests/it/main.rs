//! Both ends of a connection against each other over loopback TLS.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod certificate;
mod handshake;
mod host;
mod raw;
mod traffic;
