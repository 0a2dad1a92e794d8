//! Every bound of the sandbox that the manifest does not set, with its unit and reason. Hard maxima of the manifest's
//! own figures are in `p2c2r_signing::limits`.

use std::time::Duration;

/// Attempts at once in one [`crate::Sandbox`]; each reserves 4 GiB of address space, not memory.
pub const WORKERS: u32 = 64;

/// Slots of 8 bytes that calls which may recurse can take together, and any one function: 512 KiB, half of what C
/// compilers give a thread by default, or 8,000 calls of a small function. Past it a kernel traps, at the same call on
/// every machine.
pub const STACK_SLOTS: u32 = 65_536;

/// Slots a call takes besides what is in its function: return address, frame pointer, two saved registers. Also what
/// bounds the number of calls.
pub const FRAME_SLOTS: u32 = 4;

/// Slots that calls which cannot recurse may take together without being counted. The longest such path of the largest
/// kernel in the tree takes 1,469; a module with a longer one than this has all its calls counted.
pub const UNCHARGED_SLOTS: u32 = 16_384;

/// Bytes of native stack a guest may use: 2.4 times what [`STACK_SLOTS`] and [`UNCHARGED_SLOTS`] allow, as compilers
/// keep more in a frame than WebAssembly shows (and usually less). Passing it is a host fault.
pub const WASM_STACK_BYTES: usize = 1536 << 10;

/// Bytes of stack a thread must have that runs a guest: the guest's, and 512 KiB for the host's functions below it.
/// Threads of the standard library have as much; the main thread of Windows has half.
pub const THREAD_STACK_BYTES: usize = 2 << 20;

/// Elements of a module's table. The largest kernel in the tree has under 2,000; one element costs 8 bytes.
pub const TABLE_ELEMENTS: usize = 65_536;

/// Tables of a module. Compilers emit one; the pool keeps this many for each worker.
pub const TABLES: u32 = 1;

/// Functions a module defines. Rapier, the largest kernel in the tree, has under 3,000.
pub const FUNCTIONS: u32 = 50_000;

/// Bytes of one function's body: Cranelift's time grows faster than the size of a function.
pub const FUNCTION_BYTES: usize = 512 << 10;

/// Bytes of all function bodies; compiling takes about 2 s a MiB on one core.
pub const CODE_BYTES: usize = 16 << 20;

/// Bytes of one function after [`crate`] has rewritten it: a vector operation whose result is stored grows from 2 bytes
/// to 30, but no compiler emits a function of nothing else.
pub const REWRITTEN_FUNCTION_BYTES: usize = 4 * FUNCTION_BYTES;

/// Locals of one function after rewriting: the most that any engine takes (`MAX_WASM_FUNCTION_LOCALS` of wasmparser).
pub const REWRITTEN_LOCALS: u32 = 50_000;

/// Bytes of all function bodies after they were rewritten.
pub const REWRITTEN_CODE_BYTES: usize = 2 * CODE_BYTES;

/// Locals that a module's functions declare, parameters not counted. A declaration takes four bytes and up to 50,000
/// locals, and each costs the compiler time: without a bound 50,000 small functions would keep it for minutes.
pub const LOCALS: u32 = 1_000_000;

/// Blocks, loops and conditions of one function. Cranelift's time grows with their square: 130,000, which fit into
/// 400 KB, take half a minute.
pub const BLOCKS: u32 = 16_384;

/// Loops of one function. Cranelift's time grows with their square as well, sooner: 16,384 take 20 s. Ray tracers and
/// databases stay under a few hundred, inlining included.
pub const LOOPS: u32 = 2_048;

/// Parameters and results of one type. Each call and each branch passes that many values, and costs the compiler time
/// for each: 500 calls with a thousand of both, 9 KB of code, take 14 s. C promises 127 parameters.
pub const TYPE_VALUES: u32 = 128;

/// Milliseconds that compiling a module may take, by the estimate made before (`runtime/src/weight/`). Three times the dearest
/// program in the tree (`physics`, 14 s by the estimate, and a third of that measured), and less than the 60 s after which a compile worker is killed.
pub const COMPILE_MS: u64 = 50_000;

/// Bytes of memory that compiling may take by the same estimate, besides what is in proportion to the code. The largest kernel in
/// the tree takes 200 MB.
pub const COMPILE_BYTES: u64 = 2 << 30;

/// Types of a module.
pub const TYPES: u32 = 10_000;

/// Globals of a module.
pub const GLOBALS: u32 = 10_000;

/// Operators of one constant expression. Linkers need three, for an address after a base; the host computes them at each
/// instantiation.
pub const CONSTANT_OPERATORS: u32 = 255;

/// Data segments of a module.
pub const DATA_SEGMENTS: u32 = 10_000;

/// Element segments of a module.
pub const ELEMENT_SEGMENTS: u32 = 10_000;

/// Exports of a module.
pub const EXPORTS: u32 = 10_000;

/// Imports of a module; both profiles together offer about 60.
pub const IMPORTS: u32 = 256;

/// Bytes of an instance's own bookkeeping (globals, table and import pointers) in the pool.
pub const INSTANCE_BYTES: usize = 4 << 20;

/// Blobs of a task.
pub const BLOBS: usize = 64;

/// Bytes of all blobs of a task; they stay in the peer's memory while it runs.
pub const BLOB_BYTES: u64 = 1 << 30;

/// Lines a kernel may log in one attempt; what follows is dropped.
pub const LOG_LINES: usize = 256;

/// Bytes of one logged line; longer ones are cut.
pub const LOG_LINE_BYTES: usize = 4 << 10;

/// Bytes of all logged lines; what follows is dropped.
pub const LOG_BYTES: usize = 64 << 10;

/// Refused GPU calls of one attempt whose reasons are logged. An author mends them one by one; what is left of [`LOG_LINES`] is the
/// kernel's own, however often it asks again.
pub const LOG_REFUSALS: u32 = 8;

/// I/O vectors of one WASI read or write, POSIX's usual `IOV_MAX`; more is `EINVAL`.
pub const WASI_IOVECS: u32 = 1024;

/// Subscriptions of one WASI `poll_oneoff`; more is `EINVAL`.
pub const WASI_SUBSCRIPTIONS: u32 = 64;

/// Bytes of one WASI `random_get`; more is `EINVAL`, so that one call stays short beside the deadline.
pub const WASI_RANDOM_BYTES: u32 = 1 << 20;

/// How often a running guest is asked to look at its deadline and cancel flag. Also the precision of both.
pub const TICK: Duration = Duration::from_millis(1);

/// Ticks without a running attempt after which the ticker sleeps: an idle peer costs no wake-ups.
pub const IDLE_TICKS: u32 = 100;

/// Longest deadline of an attempt; a longer one is shortened to this.
pub const DEADLINE: Duration = Duration::from_secs(3600);

/// Bytes of used linear memory that stay mapped in a pooled slot between attempts, zeroed by hand: what a small kernel
/// touches. Each page that does not stay costs the next attempt a page fault.
pub const KEEP_RESIDENT_BYTES: usize = 512 << 10;

/// The same in a process that runs attempts of one kernel, one at a time: the next attempt touches what the last one did, and
/// zeroing a page by hand costs a tenth of having it mapped anew.
pub const KEEP_RESIDENT_WORKER_BYTES: usize = 64 << 20;

/// Bytes of one entry of the compiled-code cache; native code is 3 to 5 times the module.
pub const CACHE_ENTRY_BYTES: u64 = 256 << 20;

/// Bytes of the whole compiled-code cache of one engine; the oldest entries go first.
pub const CACHE_BYTES: u64 = 2 << 30;

/// How long nobody may have used an engine's folder of compiled code before it is removed. Engines change with every release that
/// can change a result; a month is longer than two releases of a peer run side by side.
pub const CACHE_IDLE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Folders that opening a cache looks at for those nobody uses; more than a machine has had engines. What is past it waits.
pub const CACHE_FOLDERS: usize = 1024;
