//! Blobs, seed, units, log and panics.

use p2c2r_guest::rand_core::Rng as _;
use p2c2r_guest::testing::{Host, Outcome, run};
use p2c2r_guest::{BlobError, Context, Failure, Level, debug, info, warn};

#[test]
fn blobs_are_read_inside_their_bounds() {
    let kernel = |ctx: &mut Context| -> Result<Vec<u8>, Failure> {
        let blob = ctx.blob(1)?;
        let mut middle = [0; 3];
        blob.read(2, &mut middle)?;
        let past = blob.read(4, &mut middle);
        assert_eq!(past, Err(BlobError::Range { index: 1, offset: 4, bytes: 3, blob_bytes: 6 }));
        assert_eq!(middle, *b"cde", "a refused read changes nothing");
        assert!(matches!(blob.read(u64::MAX, &mut middle), Err(BlobError::Range { offset: u64::MAX, .. })));
        assert_eq!(blob.to_vec(5), Err(BlobError::TooLarge { index: 1, bytes: 6, max_bytes: 5 }));
        assert_eq!(ctx.blob(2).map(|_| ()), Err(BlobError::Missing { index: 2, count: 2 }));
        Ok(blob.to_vec(6)?)
    };
    let report = Host::new().blob(*b"first").blob(*b"abcdef").run(kernel);
    assert_eq!((report.outcome, report.output), (Outcome::Output, b"abcdef".to_vec()));
}

#[test]
fn randomness_is_the_seed_and_nothing_else() {
    let draw = |ctx: &mut Context| {
        let mut bytes = ctx.rng().next_u64().to_le_bytes().to_vec();
        bytes.extend(ctx.rng().next_u64().to_le_bytes());
        bytes.extend(ctx.rng_stream(9).next_u64().to_le_bytes());
        bytes
    };
    let of = |seed: u8| Host::new().seed([seed; 32]).run(draw).output;
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
    assert_eq!(of(1)[..8], FIRST_DRAW.to_le_bytes());
    assert_ne!(of(1)[..8], of(1)[8..16], "the generator goes on");
}

/// ChaCha8 with the key 32 times 0x01, counter and stream 0; computed apart from this crate.
const FIRST_DRAW: u64 = 5_518_247_365_082_443_045;

#[test]
fn units_add_up_and_overflow_traps() {
    let report = run(
        |ctx: &mut Context| {
            ctx.charge(3);
            ctx.charge(4);
        },
        [],
    );
    assert_eq!((report.outcome, report.units), (Outcome::Output, 7));
    let report = run(
        |ctx: &mut Context| {
            ctx.charge(5);
            ctx.charge(u64::MAX / 2);
        },
        [],
    );
    assert_eq!((report.outcome, report.units), (Outcome::Trap(p2c2r_abi::trap::UNITS.into()), 5));
}

#[test]
fn log_lines_keep_their_level_and_a_bound() {
    let report = run(
        || {
            debug!("{}", 1);
            info!("two");
            warn!("{}", "ü".repeat(5000));
        },
        [],
    );
    let lines: Vec<_> = report.log.iter().map(|(level, line)| (*level, line.len())).collect();
    assert_eq!(lines, [(Level::Debug, 1), (Level::Info, 3), (Level::Warn, 4096)]);
}

#[test]
fn a_panic_is_a_trap_with_its_message() {
    let report = run(|n: &[u8]| vec![n[3]], []);
    let Outcome::Trap(message) = &report.outcome else { panic!("{report:?}") };
    assert!(message.contains("index out of bounds"), "{message}");
    assert_eq!(report.log, [(Level::Panic, message.clone())]);
}

#[test]
fn hosts_nest_and_leave_nothing_behind() {
    let outer = Host::new().input(*b"outer").run(|ctx: &mut Context| {
        let inner = Host::new().input(*b"inner").run(|ctx: &mut Context| ctx.input());
        assert_eq!(inner.output, b"inner");
        ctx.input()
    });
    assert_eq!(outer.output, b"outer");
    assert_eq!(run(|ctx: &mut Context| ctx.input(), []).output, b"");
}

#[test]
fn getrandom_errors_have_the_layout_the_backend_returns() {
    // The backend returns Result<(), NonZeroI32> where these crates declare Result<(), Error>.
    assert_eq!(size_of::<Result<(), getrandom::Error>>(), 4);
    assert_eq!(size_of::<Result<(), getrandom_03::Error>>(), 4);
    assert_eq!(size_of::<getrandom::Error>(), 4);
    assert_eq!(size_of::<getrandom_03::Error>(), 4);
}
