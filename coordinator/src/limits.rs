//! Bounds of the shell, each with its unit and reason. Bounds of the wire are in [`p2c2r_protocol::limits`], of a
//! connection in [`p2c2r_transport::limits`], of the market in [`p2c2r_core::Limits`].

use std::time::Duration;

/// Time of a TLS handshake.
pub const TLS_TIMEOUT: Duration = Duration::from_secs(5);

/// Time to send an HTTP request's head, and between two requests of one connection.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Time of one HTTP request with its body and answer. A kernel of 32 MiB passes at 9 Mbit/s.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Life of a connection that speaks plain HTTP: a reader that stopped reading holds nothing longer.
pub const HTTP_CONNECTION: Duration = Duration::from_secs(300);

/// Bytes of an HTTP request's head.
pub const HEAD_BYTES: usize = 16 << 10;

/// Bytes of a JSON request body.
pub const BODY_BYTES: usize = 16 << 10;

/// Events waiting for the market.
pub const EVENTS: usize = 4096;

/// Bytes of payloads waiting for the market; past it readers wait, and so do their senders.
pub const EVENT_BYTES: usize = 256 << 20;

/// Events taken before their outputs are sent: what is fed together leaves in one flush.
pub const EVENT_BATCH: usize = 256;

/// Commits waiting for the ledger thread. It takes about one a second and one per session opened.
pub const COMMITS: usize = 1024;

/// Commits in one transaction: at 1,024 a commit takes 2 ms (measured), the gain past it is nothing.
pub const COMMITS_PER_TRANSACTION: usize = 1024;

/// Shortest and longest pause before the store is tried again.
pub const STORE_RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Fetches one connection may have waiting. A chunk is 256 KiB, so this is more than any link needs in flight.
pub const FETCHES_PER_CONNECTION: usize = 32;

/// Tasks of one connection whose latency is being measured; more are served but not measured.
pub const MEASURED_TASKS: usize = 4096;

/// Bytes a blob counts at least in its account's quota: a block of the disk, and what is remembered of it.
pub const BLOB_FLOOR_BYTES: u64 = 4 << 10;

/// Nano-USD of one deposit (a million USD): a slip of the keyboard must not fill the store's integers.
pub const DEPOSIT_NANO_USD: u64 = 1_000_000_000_000_000;

/// Nano-USD of a kernel's rate. With [`p2c2r_signing::limits::UNITS`] and all replicas the price still fits 64 bits.
pub const RATE_NANO_USD: u64 = 1_000_000;

/// Bytes of a publisher's name.
pub const PUBLISHER_BYTES: usize = 128;

/// Executions in one page of the settlements an auditor reads.
pub const EXECUTIONS_PER_PAGE: usize = 10_000;

/// Time the market has to answer an HTTP request.
pub const MARKET_ANSWER: Duration = Duration::from_secs(10);

/// Bytes of the configuration file and of a certificate or key file.
pub const FILE_BYTES: u64 = 1 << 20;

/// Time connections have to say goodbye at the end of a drain.
pub const GOODBYE: Duration = Duration::from_millis(500);
