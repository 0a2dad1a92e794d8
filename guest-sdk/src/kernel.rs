//! What a kernel may look like, and how the host starts one.

use alloc::vec::Vec;

use crate::codec::{Decode, Encode};
use crate::context::Context;
use crate::failure::Failure;
use crate::{log, sys};

/// A function that can be a kernel. Implemented for
///
/// - `fn() -> O`
/// - `fn(I) -> O`, `fn(&[u8]) -> O`
/// - `fn(&mut Context) -> O`
/// - `fn(&mut Context, I) -> O`, `fn(&mut Context, &[u8]) -> O`
///
/// where `I` is [`Decode`] and `O` is [`Encode`]. `Shape` only tells these apart.
pub trait Kernel<Shape> {
    /// Reads the input, runs, and encodes the output.
    ///
    /// # Errors
    /// The kernel's failure, or that of its input or output.
    fn call(self, ctx: &mut Context) -> Result<Vec<u8>, Failure>;
}

/// Runs a kernel against the host: what the export made by [`kernel`](macro@crate::kernel) calls.
///
/// Returns 0 and writes the output, or returns the failure's code, logs it and writes its message as the output.
pub fn entry<Shape>(kernel: impl Kernel<Shape>) -> i32 {
    log::install_panic_hook();
    match kernel.call(&mut Context::new()) {
        Ok(output) => {
            sys::output_write(&output);
            0
        }
        Err(failure) => {
            log::write(log::Level::Warn, format_args!("{failure}"));
            sys::output_write(failure.message().as_bytes());
            failure.code()
        }
    }
}

/// Types that tell the shapes of kernels apart; nothing to use.
#[doc(hidden)]
pub mod shape {
    use core::marker::PhantomData;

    #[derive(Debug)]
    pub struct Nothing;
    #[derive(Debug)]
    pub struct Bytes;
    #[derive(Debug)]
    pub struct Input<I>(PhantomData<I>);
    #[derive(Debug)]
    pub struct Ctx;
    #[derive(Debug)]
    pub struct CtxBytes;
    #[derive(Debug)]
    pub struct CtxInput<I>(PhantomData<I>);
}

impl<F, O> Kernel<shape::Nothing> for F
where
    F: FnOnce() -> O,
    O: Encode,
{
    fn call(self, ctx: &mut Context) -> Result<Vec<u8>, Failure> {
        <()>::decode(ctx.input())?;
        self().encode()
    }
}

impl<F, I, O> Kernel<shape::Input<I>> for F
where
    F: FnOnce(I) -> O,
    I: Decode,
    O: Encode,
{
    fn call(self, ctx: &mut Context) -> Result<Vec<u8>, Failure> {
        self(I::decode(ctx.input())?).encode()
    }
}

impl<F, O> Kernel<shape::Bytes> for F
where
    F: FnOnce(&[u8]) -> O,
    O: Encode,
{
    fn call(self, ctx: &mut Context) -> Result<Vec<u8>, Failure> {
        self(&ctx.input()).encode()
    }
}

impl<F, O> Kernel<shape::Ctx> for F
where
    F: FnOnce(&mut Context) -> O,
    O: Encode,
{
    fn call(self, ctx: &mut Context) -> Result<Vec<u8>, Failure> {
        self(ctx).encode()
    }
}

impl<F, I, O> Kernel<shape::CtxInput<I>> for F
where
    F: FnOnce(&mut Context, I) -> O,
    I: Decode,
    O: Encode,
{
    fn call(self, ctx: &mut Context) -> Result<Vec<u8>, Failure> {
        let input = I::decode(ctx.input())?;
        self(ctx, input).encode()
    }
}

impl<F, O> Kernel<shape::CtxBytes> for F
where
    F: FnOnce(&mut Context, &[u8]) -> O,
    O: Encode,
{
    fn call(self, ctx: &mut Context) -> Result<Vec<u8>, Failure> {
        let input = ctx.input();
        self(ctx, &input).encode()
    }
}
