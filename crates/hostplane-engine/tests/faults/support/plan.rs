//! A plan: which faults strike where, in a form that can be printed and read back.

use std::fmt;
use std::str::FromStr;

use crate::fault::{CallFault, WriteFault};
use crate::owner::OwnerAction;
use crate::scenario::Scenario;

/// One fault and its place, counted from 0 from the moment of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strike {
    Call(usize, CallFault),
    Write(usize, WriteFault),
    /// The owner acts before this call.
    Owner(usize, OwnerAction),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Plan {
    pub scenario: Scenario,
    pub strikes: Vec<Strike>,
}

impl Plan {
    pub fn calls(&self) -> Vec<(usize, CallFault)> {
        let call = |strike: &Strike| match strike {
            Strike::Call(at, fault) => Some((*at, *fault)),
            Strike::Write(..) | Strike::Owner(..) => None,
        };
        self.strikes.iter().filter_map(call).collect()
    }

    pub fn writes(&self) -> Vec<(usize, WriteFault)> {
        let write = |strike: &Strike| match strike {
            Strike::Call(..) | Strike::Owner(..) => None,
            Strike::Write(at, fault) => Some((*at, *fault)),
        };
        self.strikes.iter().filter_map(write).collect()
    }

    /// The owner's action, and the call before which he takes it.
    pub fn owner(&self) -> Option<(usize, OwnerAction)> {
        self.strikes.iter().find_map(|strike| match strike {
            Strike::Owner(at, action) => Some((*at, *action)),
            Strike::Call(..) | Strike::Write(..) => None,
        })
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(at, fault) => write!(f, "call {at} {fault}"),
            Self::Write(at, fault) => write!(f, "write {at} {fault}"),
            Self::Owner(at, action) => write!(f, "owner {at} {action}"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.scenario)?;
        self.strikes.iter().try_for_each(|strike| write!(f, "; {strike}"))
    }
}

impl FromStr for Strike {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let mut next = || words.next().ok_or_else(|| format!("{text:?} is no strike"));
        let (what, at, fault) = (next()?, next()?, next()?);
        let at = at.parse().map_err(|error| format!("{at}: {error}"))?;
        match what {
            "call" => Ok(Self::Call(at, fault.parse()?)),
            "write" => Ok(Self::Write(at, fault.parse()?)),
            "owner" => Ok(Self::Owner(at, fault.parse()?)),
            other => Err(format!("{other} is no call, no write and no owner")),
        }
    }
}

impl FromStr for Plan {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(';').map(str::trim);
        let scenario = parts.next().unwrap_or_default().parse()?;
        Ok(Self { scenario, strikes: parts.map(str::parse).collect::<Result<_, _>>()? })
    }
}

#[test]
fn the_text_form_is_read_back() {
    for scenario in Scenario::all() {
        for fault in CallFault::all() {
            let owner = Strike::Owner(0, OwnerAction::HomeMoved);
            let strikes = vec![owner, Strike::Call(7, fault), Strike::Write(3, WriteFault::Refused)];
            let plan = Plan { scenario, strikes };
            assert_eq!(plan.to_string().parse(), Ok(plan));
        }
    }
}
