//! The executions of a settlement as one blob: a version byte, then fixed-size entries. One row per batch instead of
//! one per execution keeps the ledger thread's cost a copy.
//!
//! Version 1: the entries are the leaves of the settlement's Merkle tree, [`SettledExecution::leaf`], so that the root
//! can be checked over the stored bytes themselves.

use p2c2r_core::record::SettledExecution;
use p2c2r_protocol::Credits;
use p2c2r_signing::{AttemptNonce, ModuleId, PublicKey, Seal, SessionId, TaskId};

use super::name;

const VERSION: u8 = 1;
const ENTRY_BYTES: usize = SettledExecution::LEAF_BYTES;

pub(super) fn encode(executions: &[SettledExecution]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + executions.len() * ENTRY_BYTES);
    out.push(VERSION);
    for execution in executions {
        out.extend_from_slice(&execution.leaf());
    }
    out
}

/// The entries, or what is wrong with the bytes.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<SettledExecution>, String> {
    let (version, entries) = bytes.split_first().ok_or("executions are empty, not even a version")?;
    if *version != VERSION {
        return Err(format!("executions have version {version}, this program reads {VERSION}"));
    }
    let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() {
        return Err(format!("executions end with {} bytes, an entry has {ENTRY_BYTES}", rest.len()));
    }
    entries.iter().map(entry).collect()
}

fn entry(bytes: &[u8; ENTRY_BYTES]) -> Result<SettledExecution, String> {
    let mut fields = Fields(bytes);
    Ok(SettledExecution {
        task: TaskId::from_bytes(fields.take()),
        nonce: AttemptNonce::from_bytes(fields.take()),
        module: ModuleId::from_bytes(fields.take()),
        peer: PublicKey::from_bytes(&fields.take()).map_err(|e| e.to_string())?,
        session: SessionId::from_bytes(fields.take()),
        number: u64::from_le_bytes(fields.take()),
        units: u64::from_le_bytes(fields.take()),
        task_cost: Credits::from_nano_usd(u64::from_le_bytes(fields.take())),
        standing: {
            let [standing] = fields.take();
            name::to_standing(standing).ok_or_else(|| format!("standing {standing} is unknown"))?
        },
        earned: Credits::from_nano_usd(u64::from_le_bytes(fields.take())),
        seal: Seal::from_bytes(fields.take()),
    })
}

/// Fields of an entry, whose length is their sum; past it there are zeros.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        self.0.split_first_chunk().map_or([0; N], |(field, rest)| {
            self.0 = rest;
            *field
        })
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_protocol::message::Standing;
    use p2c2r_signing::SecretKey;

    use super::*;

    #[test]
    fn entries_come_back_and_damage_is_named() {
        let one = SettledExecution {
            task: TaskId::from_bytes([1; 16]),
            nonce: AttemptNonce::from_bytes([2; 16]),
            module: ModuleId::from_bytes([3; 32]),
            peer: SecretKey::from_seed(&[4; 32]).public(),
            session: SessionId::from_bytes([5; 16]),
            number: u64::MAX,
            units: 7,
            task_cost: Credits::from_nano_usd(8),
            standing: Standing::Void,
            earned: Credits::from_nano_usd(9),
            seal: Seal::from_bytes([10; 32]),
        };
        let two = SettledExecution { standing: Standing::Agreed, number: 3, ..one.clone() };
        let bytes = encode(&[one.clone(), two.clone()]);
        assert_eq!(bytes.len(), 1 + 2 * ENTRY_BYTES);
        assert_eq!(decode(&bytes), Ok(vec![one, two]));
        assert_eq!(decode(&encode(&[])), Ok(vec![]));
        let error = |bytes: &[u8]| decode(bytes).expect_err("damaged");
        assert!(error(&[]).contains("not even a version"));
        assert!(error(&[9]).contains("version 9"));
        assert!(error(&bytes[..bytes.len() - 1]).contains("end with 176 bytes"));
        let mut wrong = bytes;
        wrong[1 + 136] = 77;
        assert!(error(&wrong).contains("standing 77"));
    }
}
