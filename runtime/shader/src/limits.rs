//! Bounds on shaders. Each is the same on every peer, because what a shader does, and whether it is run at all, must be.

/// Storage buffers one shader may bind: WebGPU's guaranteed `maxStorageBuffersPerShaderStage`, less the one that
/// [`TRAP_BINDING`] takes.
pub const BINDINGS: usize = 7;

/// Highest binding index a shader may name.
pub const BINDING_INDEX: u32 = 14;

/// Binding, in group 0, of the word that a rewritten shader sets when an invocation runs out of its loop budget.
pub const TRAP_BINDING: u32 = 15;

/// What that word is before: not zero, which is all that invocations read that do not exist.
pub const TRAP_GOING: u32 = 1;

/// What it is set to.
pub const TRAP_SET: u32 = 2;

/// Invocations that lavapipe runs side by side, neighbours along x; 4 on processors without AVX. Not a bound: a workgroup whose side
/// along x is a multiple of it has none that do not exist.
pub const VECTOR: u32 = 8;

/// Binding, in group 0, of the uniform buffer that tells a sliced shader which of its workgroups are run.
pub const SLICE_BINDING: u32 = 16;

/// Bytes of that buffer: workgroups before the slice along x, y and z, a word of padding, then those of the whole dispatch,
/// and another.
pub const SLICE_BYTES: u32 = 32;

/// Iterations of loops without a barrier that one invocation may run in a dispatch, all of them together. Lavapipe silently
/// ends a shader's loops after 65,535 iterations: with [`LOOP_ROUNDS`] this stays under it, so that an endless loop ends by
/// our hand and the same everywhere. The raytrace kernel's bound is 33,864.
pub const LOOP_FUEL: u32 = 57_344;

/// Iterations of loops with a barrier that one invocation may run in a dispatch. Counted apart from [`LOOP_FUEL`],
/// because all invocations of a workgroup must leave such a loop together. A reduction takes 8.
pub const LOOP_ROUNDS: u32 = 8_189;

// And one, to find out whether to loop at all.
const _: () = assert!(LOOP_FUEL + LOOP_ROUNDS + 1 < 65_535);

/// Expressions that are evaluated before a loop to know how long it is; a loop whose bound takes more is counted round by round.
/// `params.camera.spheres` takes 3. Each may have the loop looked through for whether it stays the same.
pub const COUNTED_BOUND: usize = 16;

/// Invocations of one workgroup: WebGPU's guaranteed `maxComputeInvocationsPerWorkgroup`.
pub const INVOCATIONS_PER_WORKGROUP: u32 = 256;

/// Workgroup size along z: WebGPU's guaranteed `maxComputeWorkgroupSizeZ`.
pub const WORKGROUP_SIZE_Z: u32 = 64;

/// Workgroups along one dimension: WebGPU's guaranteed `maxComputeWorkgroupsPerDimension`.
pub const WORKGROUPS_PER_DIMENSION: u32 = 65_535;

/// Bytes of all workgroup variables of a shader: WebGPU's guaranteed `maxComputeWorkgroupStorageSize`.
pub const WORKGROUP_BYTES: u32 = 16 << 10;

/// Bytes of all private variables of a shader, and of all variables of one function: WGSL's own limit
/// (section "Limits"), which naga does not check and drivers answer with a crash.
pub const LOCAL_BYTES: u32 = 8 << 10;

/// Bytes of a value that is computed with as a whole: all workgroup memory, to clear it. naga's SPIR-V copies a value that is indexed
/// to a variable, and `let b = array(a, a); let c = array(b, b);` and so on is 512 MiB before the text has 900 bytes.
pub const VALUE_BYTES: u32 = WORKGROUP_BYTES;

/// Bytes of one shader's text.
pub const SHADER_BYTES: usize = 256 << 10;

/// Expressions in one shader after parsing; bounds what the driver's compiler is given.
pub const SHADER_EXPRESSIONS: usize = 64 << 10;

/// Expressions and statements of the entry point with every call replaced by what it calls. Drivers do replace them, and
/// without loops it is the work of one invocation: a chain of functions that each call the next one twice has no
/// loop and does not end. The raytrace kernel's is 5,206.
pub const INLINED_NODES: u64 = 256 << 10;

/// How deep an expression or a chain of `else if` may nest, an `else` counted as [`ELSE_DEPTH`]. naga and the compilers below
/// recurse: 8,000 additions in a row end a stack of 2 MiB, and so do 2,000 `else if` (measured with naga 30.0.1).
pub const TEXT_DEPTH: u32 = 512;

/// What one `else` counts for in [`TEXT_DEPTH`].
pub const ELSE_DEPTH: u32 = 4;

/// Functions, constants, types and variables of one shader. naga puts them in order by a recursion as deep as they refer to
/// each other: 16,000 constants, each the next one, end a stack of 4 MiB. The raytrace kernel's are 68.
pub const DECLARATIONS: usize = 1024;

/// Words of a shader, with every name of a constant replaced by what it stands for. naga copies a constant that a function
/// computes with: of `const b = array(a, a)`, `const c = array(b, b)` and so on, thirty fill any memory.
pub const CONSTANT_WORDS: u64 = 1 << 20;

/// Functions that may call each other in a row.
pub const CALL_DEPTH: u32 = 64;

/// Findings listed for one shader.
pub const FINDINGS: usize = 32;

/// Words of the largest buffer, 128 MiB.
pub const BUFFER_WORDS: u32 = 32 << 20;

/// Invocations of a dispatch along more than one axis whose places are its own: twice the words of the largest buffer, so
/// that nobody misses the others. What is computed from all three axes then stays far below 2^32 and does not wrap.
pub const GRID_INVOCATIONS: u32 = 2 * BUFFER_WORDS;

/// Uses of shared variables that are compared with each other, loops counted twice. A shader past it is too long for this.
pub const RACE_USES: usize = 1024;

/// Statements and expressions looked at, those of loops twice, of loops in loops four times, of functions at each call.
pub const RACE_STEPS: u32 = 1 << 18;

/// Pairs of uses that are compared; bounds the time together with [`RACE_STEPS`].
pub const RACE_PAIRS: u32 = 1 << 16;

/// Conditions that are kept in mind at a place; more are ignored. People write three or four.
pub const RACE_FACTS: usize = 16;

/// Values that are told apart because a whole dispatch shares them, widths of grids above all; more are ignored.
pub const RACE_WIDTHS: usize = 64;

/// Rounds in which bounds of variables may grow before they count as unbounded.
pub const RACE_ROUNDS: usize = 4;

/// Rounds after that, in each of which at least one more variable is found unbounded; past them all are.
pub const UNBOUNDED_ROUNDS: usize = 16;

/// Passes over a function before every variable counts as not shared. Each finds at least one more that is not; code that
/// people write takes three.
pub const UNIFORM_PASSES: usize = 32;

/// Registers of the reference: words of variables and values of one invocation at a time, or of one workgroup's memory. An
/// exact shader that needs more is refused, as it could run on adapters only. 2 MiB for 32 invocations, so 16 MiB
/// for a workgroup.
pub const REFERENCE_REGISTERS: u32 = 16 << 10;

/// How deep types may nest in the reference; WGSL's own limit is 15.
pub const REFERENCE_TYPE_DEPTH: u32 = 64;

/// Words that the operations of a shader look at when each is executed once, calls replaced by what they call; also bounds the
/// time and memory it takes to lower one.
pub const REFERENCE_WORK: u32 = 1 << 20;

/// Blocks in blocks, those of called functions included, of an exact shader: lowering recurses, and so does looking for races.
pub const REFERENCE_DEPTH: u32 = 200;

/// Characters of an author's expression that a message quotes.
pub const QUOTED: usize = 60;
