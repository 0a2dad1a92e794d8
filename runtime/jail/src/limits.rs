//! Bounds of the processes, each with its unit and reason. What a guest may do inside one is bounded in
//! [`p2c2r_runtime::limits`].

use std::time::Duration;

/// Bytes of one message between supervisor and worker; it holds the log of an attempt (64 KiB) and what travels inline.
pub const MESSAGE_BYTES: usize = 128 << 10;

/// Inputs and outputs up to this many bytes travel in the message, larger ones in shared memory.
pub const INLINE_BYTES: usize = 32 << 10;

/// Attempts given to a worker at once: the wake-up of two processes is shared, and what was done first does not wait
/// long for the last.
pub const TOGETHER: usize = 16;

/// Descriptors with one message: an attempt's blobs and its line to the GPU.
pub const DESCRIPTORS: usize = p2c2r_runtime::limits::BLOBS + 2;

/// Time a worker has to start: map its address space, shut its doors, say so.
pub const START: Duration = Duration::from_secs(20);

/// Time to compile one module. The largest kernel in the tree takes 8 s in a debug build of the compiler.
pub const COMPILE: Duration = Duration::from_secs(60);

/// Processor time of a compile worker, seconds; the system ends what the supervisor could not.
pub const COMPILE_CPU_SECONDS: u64 = 120;

/// Bytes a compile worker may use beside the module: Cranelift takes about 100 bytes for one of a function's body.
pub const COMPILE_BYTES: u64 = 2 << 30;

/// Bytes an execute worker may use beside what the kernel's manifest allows: code, output, log, and wasmtime's own.
pub const EXECUTE_BYTES: u64 = 1 << 30;

/// Time to load compiled code into a worker.
pub const LOAD: Duration = Duration::from_secs(10);

/// How late an attempt may be told of its cancel flag.
pub const CANCEL_EVERY: Duration = Duration::from_millis(2);

/// Pause after a worker failed to start, so that a broken machine is not kept busy with trying.
pub const RETRY: Duration = Duration::from_secs(1);

/// Warm workers that belong to no kernel yet: one replaces a worker that was killed, one serves a new kernel meanwhile.
pub const SPARES: usize = 2;

/// Bytes of blobs kept ready to be mapped into workers, beside those in use.
pub const SHARED_BLOB_BYTES: u64 = 256 << 20;

/// Kernels whose shaders a GPU worker keeps compiled.
pub const GPU_KERNELS: usize = 32;

/// How long a dispatch waits in a GPU worker for the call that comes after it. A guest that reads at once does so within 20 us;
/// one that does not wait for its dispatch loses no more than this.
pub const GPU_PAUSE: Duration = Duration::from_micros(100);

/// How long a GPU worker stays awake for the next call after a guest has read: it comes within 40 us if it comes at once, and to be
/// woken takes half as long.
pub const GPU_AWAKE: Duration = Duration::from_micros(50);

/// How often a GPU worker at work looks whether the guest is still there. It is asked in every call, and to look takes a system
/// call.
pub const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Time a GPU worker has to compile the shaders of a kernel, and to open a session: with a fresh device it compiles them first.
/// The raytrace kernel's take lavapipe under a second.
pub const GPU_COMPILE: Duration = Duration::from_secs(10);

/// Time a GPU worker has to end a session after its attempt; it waits for work that is still running for
/// [`p2c2r_runtime::gpu::limits::GRACE`] of it. Then it is killed.
pub const SESSION_END: Duration = Duration::from_secs(1);

/// GPU workers that failed an attempt and may still end the others they have; the oldest is killed past it.
pub const RETIRED_WORKERS: usize = 2;

/// Kernels remembered because their shaders did not compile in time.
pub const SLOW_KERNELS: usize = 64;

/// Descriptors a worker may have open.
pub const OPEN_FILES: u64 = 512;

/// Stack of the thread that runs guests, bytes: the guest's own, and the host's functions above it.
pub const STACK_BYTES: usize = 16 << 20;

/// Bytes of a reason that a worker reports; several fit into a message.
pub const REASON_BYTES: usize = 4 << 10;

/// Bytes of shared memory that stay with an idle worker; what a larger input or output used is given back at once.
pub const WINDOW_KEEP_BYTES: u64 = 1 << 20;

/// Time between the end of a worker's line and the end of its process, after which it is killed.
pub const LAST_WORDS: Duration = Duration::from_millis(100);
