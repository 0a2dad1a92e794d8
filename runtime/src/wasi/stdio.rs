//! The three standard streams.

use std::any::Any;
use std::io::{IoSlice, IoSliceMut};
use std::mem::swap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use wasi_common::file::{FileType, WasiFile};
use wasi_common::{Error, ErrorExt};

use crate::log::Log;
use crate::state::Output;

/// The attempt's output and log while a WASI call runs; empty between calls.
pub(super) struct Streams {
    output: Output,
    log: Log,
}

impl Default for Streams {
    fn default() -> Self {
        Self { output: Output { bytes: Vec::new(), limit_bytes: 0 }, log: Log::default() }
    }
}

/// Exchanges output and log with the streams': once to lend them, once to have them back.
pub(super) fn lend(streams: &Mutex<Streams>, output: &mut Output, log: &mut Log) {
    let mut streams = lock(streams);
    swap(&mut streams.output, output);
    swap(&mut streams.log, log);
}

/// Standard input: the task's input, read once.
pub(super) struct Stdin {
    input: Bytes,
    /// Bytes read so far.
    read: AtomicUsize,
}

impl Stdin {
    pub(super) fn new(input: Bytes) -> Self {
        Self { input, read: AtomicUsize::new(0) }
    }
}

/// Standard output or standard error.
pub(super) struct Writer {
    streams: Arc<Mutex<Streams>>,
    sink: Sink,
}

#[derive(Clone, Copy)]
enum Sink {
    Output,
    Log,
}

impl Writer {
    pub(super) fn stdout(streams: &Arc<Mutex<Streams>>) -> Self {
        Self { streams: Arc::clone(streams), sink: Sink::Output }
    }

    pub(super) fn stderr(streams: &Arc<Mutex<Streams>>) -> Self {
        Self { streams: Arc::clone(streams), sink: Sink::Log }
    }
}

#[async_trait::async_trait]
impl WasiFile for Stdin {
    fn as_any(&self) -> &dyn Any {
        self
    }

    async fn get_filetype(&self) -> Result<FileType, Error> {
        Ok(FileType::Pipe)
    }

    async fn read_vectored<'a>(&self, bufs: &mut [IoSliceMut<'a>]) -> Result<u64, Error> {
        let start = self.read.load(Ordering::Relaxed);
        let mut at = start;
        for buf in bufs {
            let rest = self.input.get(at..).unwrap_or_default();
            let count = rest.len().min(buf.len());
            buf[..count].copy_from_slice(&rest[..count]);
            at += count;
        }
        self.read.store(at, Ordering::Relaxed);
        Ok((at - start) as u64)
    }

    async fn seek(&self, _pos: std::io::SeekFrom) -> Result<u64, Error> {
        Err(Error::seek_pipe())
    }
}

#[async_trait::async_trait]
impl WasiFile for Writer {
    fn as_any(&self) -> &dyn Any {
        self
    }

    async fn get_filetype(&self) -> Result<FileType, Error> {
        Ok(FileType::Pipe)
    }

    async fn write_vectored<'a>(&self, bufs: &[IoSlice<'a>]) -> Result<u64, Error> {
        let mut streams = lock(&self.streams);
        match self.sink {
            Sink::Output => {
                let parts: Vec<&[u8]> = bufs.iter().map(|buf| &**buf).collect();
                streams.output.write(&parts).map_err(|stop| Error::trap(wiggle::error::Error::new(stop)))?;
            }
            Sink::Log => bufs.iter().for_each(|buf| streams.log.stream(buf)),
        }
        Ok(bufs.iter().map(|buf| buf.len() as u64).sum())
    }

    async fn seek(&self, _pos: std::io::SeekFrom) -> Result<u64, Error> {
        Err(Error::seek_pipe())
    }
}

fn lock(streams: &Mutex<Streams>) -> MutexGuard<'_, Streams> {
    streams.lock().unwrap_or_else(PoisonError::into_inner)
}
