//! Scripted attackers. Each knows the published rules and its own history, and nothing of what others were given, except
//! the rings, which tell each other everything.

use crate::dice::Dice;

/// Kinds of attackers. One run has one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attack {
    /// Nobody cheats.
    None,
    /// Lies always.
    Liar,
    /// Sends random bytes without working.
    Lazy,
    /// Honest for a while, then lies in three tasks of ten.
    Sleeper,
    /// Honest until it is trusted, then lies always, until it is caught; then from the start again.
    Strategic,
    /// A liar that comes back with a new key and account whenever it was caught.
    Sybil,
    /// Members tell each other their tasks, and lie, alike, exactly when two of them have the same task.
    Ring,
    /// A ring whose members sit on what they have alone until it is almost too late, so that it is hedged: the hedge may go to one of
    /// them.
    StallingRing,
    /// Nobody cheats, but a driver's update reaches peer after peer, and under it the kernel gives another result in one of fifty
    /// executions, until it is mended half a minute after it was found out.
    FaultyKernel,
    /// A ring whose members are honest until all are trusted, and then lie in everything, each differently, so that the kernel
    /// seems to be at fault and they get their withheld pay back.
    Feigner,
    /// A broken machine: one result in a hundred is wrong.
    BitFlipper,
    /// Answers right, just before the deadline.
    SlowLoris,
    /// Accepts and never answers.
    Hoarder,
}

impl Attack {
    /// All that attack, in the table's order. Where all peers are alike nothing is hedged, and stalling is nothing but slow.
    pub const ALL: [Self; 11] = [
        Self::Liar,
        Self::Lazy,
        Self::Sleeper,
        Self::Strategic,
        Self::Sybil,
        Self::BitFlipper,
        Self::SlowLoris,
        Self::Hoarder,
        Self::FaultyKernel,
        Self::Feigner,
        Self::Ring,
    ];

    /// Whether attackers tell each other their tasks, and lie together.
    #[must_use]
    pub const fn is_ring(self) -> bool {
        matches!(self, Self::Ring | Self::StallingRing)
    }

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self).map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// What a peer does with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Right,
    /// Right, and as late as it may be.
    RightLate,
    /// Wrong, the same wrong bytes from every member of a ring.
    WrongTogether,
    /// Wrong as nobody else is.
    WrongAlone,
    /// Done as it should be, and wrong as nobody else is: the kernel's fault.
    Differs,
    Nothing,
}

impl Act {
    /// Whether it does the work.
    pub(crate) const fn works(self) -> bool {
        matches!(self, Self::Right | Self::RightLate | Self::Differs)
    }
}

/// A peer's memory of its own doings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mind {
    pub(crate) attack: Attack,
    /// Tasks done in all, and since it was last caught.
    pub(crate) done: u64,
    since_caught: u64,
}

/// Executions of a peer before the update that makes a kernel faulty reaches it.
const UPDATED: u64 = 100;

/// Tasks after which a sleeper wakes.
const SLEEP: u64 = 300;

impl Mind {
    pub(crate) const fn new(attack: Attack) -> Self {
        Self { attack, done: 0, since_caught: 0 }
    }

    /// `trusted_after`: tasks after which a peer is trusted by the rule it plays against. `partner`: whether another
    /// member of the ring has the same task.
    pub(crate) fn act(&mut self, trusted_after: u64, partner: bool, dice: &mut Dice) -> Act {
        self.done += 1;
        self.since_caught += 1;
        let wrong_if = |wrong| if wrong { Act::WrongAlone } else { Act::Right };
        match self.attack {
            Attack::None => Act::Right,
            Attack::Liar | Attack::Lazy | Attack::Sybil => Act::WrongAlone,
            Attack::Sleeper => wrong_if(self.done > SLEEP && dice.chance(300_000)),
            Attack::Strategic => wrong_if(self.since_caught > trusted_after),
            Attack::Feigner => wrong_if(self.done > trusted_after),
            Attack::FaultyKernel if self.done > UPDATED && dice.chance(20_000) => Act::Differs,
            Attack::FaultyKernel => Act::Right,
            Attack::BitFlipper => wrong_if(dice.chance(10_000)),
            Attack::Ring | Attack::StallingRing if partner => Act::WrongTogether,
            Attack::Ring | Attack::StallingRing => Act::Right,
            Attack::SlowLoris => Act::RightLate,
            Attack::Hoarder => Act::Nothing,
        }
    }

    pub(crate) fn caught(&mut self) {
        self.since_caught = 0;
    }
}
