//! The faults of the design's table, and to which calls each applies.

use std::fmt;
use std::str::FromStr;

use hostplane_infra::error::Dependency;
use hostplane_infra::gate::Call;
use hostplane_testing::fake::PARTS;

/// A fault of an outside call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CallFault {
    /// F1: it fails before it has any effect, and may succeed the next time.
    Error,
    /// F1: it is refused for good.
    Refused,
    /// F1: from now on its dependency can't be reached, until the job waits for it.
    Outage,
    /// F2: it is made, and its reply is lost.
    LostReply,
    /// F3: it times out, and lands this number of calls later.
    Late(u8),
    /// F3: it times out, and lands after its job has ended.
    LateAfterEnd,
    /// F4: it never answers.
    Hang,
    /// F5: the process dies before it.
    CrashBefore,
    /// F6: the process dies after its effect, before anything is journalled.
    CrashAfter,
    /// F8: its job is delivered once more while it is under way.
    DeliveredTwice,
    /// F9: it is answered from before the last change, or from before the job began.
    Stale(Past),
    /// F10: another process takes the claim while it is under way, and carries the job to its end.
    ClaimStolen,
    /// F11: a rival acts while it is under way.
    Rival(Rival),
    /// F12: only this number of its parts are done.
    Part(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Past {
    LastChange,
    Start,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rival {
    /// Everything that can be read is read.
    Observer,
    /// Every order is given that the site must refuse now.
    Orders,
    /// The job is ordered to be cancelled.
    Cancel,
    /// Another site is provisioned and destroyed.
    OtherSite,
}

/// A fault of a write to the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WriteFault {
    /// F13: it is refused.
    Refused,
    /// F13: it is made, and fails all the same.
    Unanswered,
    /// F6: the process dies before it.
    CrashBefore,
    /// F7: the process dies after it.
    CrashAfter,
}

impl WriteFault {
    pub const ALL: [Self; 4] = [Self::Refused, Self::Unanswered, Self::CrashBefore, Self::CrashAfter];
}

/// Number of parts of a change that is done in parts.
fn parts(call: &Call) -> u8 {
    let found = PARTS.iter().find(|(name, _)| *name == call.name);
    found.map_or(1, |(_, parts)| u8::try_from(*parts).expect("few parts"))
}

impl CallFault {
    /// The faults that can befall a call.
    pub fn of(call: &Call) -> Vec<Self> {
        use CallFault as F;
        let mut faults = vec![F::Error, F::Refused, F::LostReply, F::Hang, F::CrashBefore, F::CrashAfter];
        faults.extend([F::DeliveredTwice, F::ClaimStolen]);
        faults.extend([Rival::Observer, Rival::Orders, Rival::Cancel, Rival::OtherSite].map(F::Rival));
        // A site has no ping of its own.
        if call.dependency != Dependency::Site {
            faults.push(F::Outage);
        }
        if call.changes {
            faults.extend([F::Late(1), F::Late(2), F::LateAfterEnd]);
            faults.extend((1..parts(call)).map(F::Part));
        } else {
            faults.extend([F::Stale(Past::LastChange), F::Stale(Past::Start)]);
        }
        faults
    }

    /// Every fault that there is for some call.
    pub fn all() -> Vec<Self> {
        let most = PARTS.iter().map(|(_, parts)| *parts).max().expect("some are done in parts");
        let call = |changes| Call { changes, ..Call::change("none", Dependency::DOCKER, std::time::Duration::ZERO) };
        let mut faults = [Self::of(&call(true)), Self::of(&call(false))].concat();
        faults.extend((1..most).map(|part| Self::Part(u8::try_from(part).expect("few parts"))));
        faults.sort();
        faults.dedup();
        faults
    }
}

impl fmt::Display for CallFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl fmt::Display for WriteFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl FromStr for CallFault {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::all().into_iter().find(|fault| fault.to_string() == text).ok_or_else(|| format!("no call fault {text}"))
    }
}

impl FromStr for WriteFault {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|fault| fault.to_string() == text).ok_or_else(|| format!("no write fault {text}"))
    }
}
