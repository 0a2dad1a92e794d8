//! One large task as many parts: cut by the manifest's split rule, submitted one by one, joined in order.

use bytes::{Bytes, BytesMut};

use p2c2r_protocol::Credits;
use p2c2r_signing::Outcome;

use crate::event::{Event, Failure};
use crate::task::{SubmitError, TaskHandle};

/// Why a task could not be split. Nothing was submitted, or what was is cancelled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// The manifest has no split rule.
    #[error("kernel {kernel} does not say how its input splits")]
    NoRule {
        /// The kernel's name.
        kernel: String,
    },
    /// The input does not fit the rule.
    #[error("input of {got} bytes is not {header} bytes and then a positive number of items of {item} bytes")]
    Shape {
        /// The input's size.
        got: usize,
        /// The rule's header.
        header: usize,
        /// The rule's item.
        item: usize,
    },
    /// A part was not taken.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

/// The parts of a split task. Hand every polled event to [`Self::take`].
#[derive(Debug)]
pub struct Map {
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    handle: TaskHandle,
    answer: Option<Result<(Outcome, Bytes), Failure>>,
    verdict: Option<Standing>,
}

/// What is known about an answer after its first delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nothing more comes: confirmed, replaced, or run here.
    Settled(Credits),
    /// Nobody vouches for it.
    Unverified,
}

impl Map {
    pub(crate) fn new(handles: impl IntoIterator<Item = TaskHandle>) -> Self {
        let part = |handle| Part { handle, answer: None, verdict: None };
        Self { parts: handles.into_iter().map(part).collect() }
    }

    /// Notes an event of one of the parts; false if it belongs to another task.
    pub fn take(&mut self, event: &Event) -> bool {
        let handle = match event {
            Event::Result(result) => result.handle,
            Event::Confirmed { handle, .. }
            | Event::Revoked { handle, .. }
            | Event::Unverified { handle, .. }
            | Event::Withdrawn { handle, .. }
            | Event::Failed { handle, .. } => *handle,
            Event::Network(_) => return false,
        };
        let Ok(index) = self.parts.binary_search_by_key(&handle, |part| part.handle) else { return false };
        let part = &mut self.parts[index];
        match event {
            Event::Result(result) => {
                part.answer = Some(Ok((result.outcome, result.output.clone())));
                if result.provenance == crate::Provenance::Local {
                    part.verdict = Some(Standing::Settled(Credits::ZERO));
                }
            }
            Event::Confirmed { cost, .. } => part.verdict = Some(Standing::Settled(*cost)),
            Event::Revoked { cost, outcome, output, .. } => {
                part.answer = Some(Ok((*outcome, output.clone())));
                part.verdict = Some(Standing::Settled(*cost));
            }
            Event::Unverified { .. } | Event::Withdrawn { right: None, .. } => {
                part.verdict = Some(Standing::Unverified);
            }
            Event::Withdrawn { right: Some(right), .. } => {
                part.answer = Some(Ok((right.outcome, right.output.clone())));
            }
            Event::Failed { reason, .. } => {
                part.answer = Some(Err(reason.clone()));
                part.verdict = Some(Standing::Unverified);
            }
            Event::Network(_) => {}
        }
        true
    }

    /// The tasks of the parts, in order.
    pub fn handles(&self) -> impl Iterator<Item = TaskHandle> {
        self.parts.iter().map(|part| part.handle)
    }

    /// Whether every part has an answer or failed.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.parts.iter().all(|part| part.answer.is_some())
    }

    /// Whether every answer is confirmed, replaced, local or given up. Only withdrawals may come after that.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.parts.iter().all(|part| part.verdict.is_some())
    }

    /// The joined output as far as it is known; `None` until every part has one, or if one failed.
    #[must_use]
    pub fn output(&self) -> Option<Bytes> {
        let mut joined = BytesMut::new();
        for part in &self.parts {
            match &part.answer {
                Some(Ok((Outcome::Output, output))) => joined.extend_from_slice(output),
                _ => return None,
            }
        }
        Some(joined.freeze())
    }

    /// What the settled parts cost.
    #[must_use]
    pub fn cost(&self) -> Credits {
        let costs = self.parts.iter().filter_map(|part| match part.verdict {
            Some(Standing::Settled(cost)) => Some(cost),
            _ => None,
        });
        costs.fold(Credits::ZERO, |sum, cost| sum.checked_add(cost).unwrap_or(sum))
    }
}

/// Cuts `input` into at most `parts` inputs of whole items, as even as they go, each behind the header.
pub(crate) fn split(input: &Bytes, header: usize, item: usize, parts: usize) -> Result<Vec<Bytes>, MapError> {
    let shape = MapError::Shape { got: input.len(), header, item };
    let Some(body) = input.len().checked_sub(header).filter(|body| item > 0 && *body > 0 && body % item == 0) else {
        return Err(shape);
    };
    let items = body / item;
    let parts = parts.clamp(1, items);
    let mut inputs = Vec::with_capacity(parts);
    let mut from = 0;
    for part in 1..=parts {
        let to = items * part / parts;
        let mut bytes = BytesMut::with_capacity(header + (to - from) * item);
        bytes.extend_from_slice(&input[..header]);
        bytes.extend_from_slice(&input[header + from * item..header + to * item]);
        inputs.push(bytes.freeze());
        from = to;
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_even_and_lose_nothing() {
        let input = Bytes::from_static(b"HHaabbccddee");
        let parts = split(&input, 2, 2, 3).expect("fits the rule");
        assert_eq!(parts, [&b"HHaa"[..], b"HHbbcc", b"HHddee"]);
        assert_eq!(split(&input, 2, 2, 99).expect("fits the rule").len(), 5);
        assert_eq!(split(&input, 2, 2, 0).expect("fits the rule").len(), 1);
    }

    #[test]
    fn an_input_that_does_not_fit_is_refused() {
        for (header, item) in [(2, 3), (12, 2), (13, 1), (2, 0)] {
            let error = split(&Bytes::from_static(b"HHaabbccddee"), header, item, 2).expect_err("does not fit");
            assert_eq!(error, MapError::Shape { got: 12, header, item });
        }
    }
}
