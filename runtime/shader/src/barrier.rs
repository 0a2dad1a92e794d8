//! Where barriers are.

use naga::{Block, Function, Module, Statement};

use crate::source::{functions, statements};

/// Which functions wait for their workgroup, themselves or through what they call. In the order of the module.
pub(crate) struct Barriers(Vec<bool>);

impl Barriers {
    pub(crate) fn of(module: &Module) -> Self {
        let mut known = Self(Vec::new());
        for function in functions(module) {
            let waits = known.has(&function.body);
            known.0.push(waits);
        }
        known
    }

    /// Whether a function of the arena waits.
    pub(crate) fn function(&self, handle: naga::Handle<Function>) -> bool {
        self.0.get(handle.index()).copied().unwrap_or(false)
    }

    /// Whether anything in `block` waits.
    pub(crate) fn has(&self, block: &Block) -> bool {
        statements(block).any(|(statement, _)| self.is(statement))
    }

    /// Whether a statement waits, leaving aside those within it.
    pub(crate) fn is(&self, statement: &Statement) -> bool {
        match statement {
            Statement::ControlBarrier(_) | Statement::MemoryBarrier(_) | Statement::WorkGroupUniformLoad { .. } => true,
            Statement::Call { function, .. } => self.function(*function),
            _ => false,
        }
    }

    /// Whether a loop waits in an iteration.
    pub(crate) fn in_loop(&self, body: &Block, continuing: &Block) -> bool {
        self.has(body) || self.has(continuing)
    }
}
