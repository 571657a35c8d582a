//! Limits on open event streams.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostplane_domain::ids::TokenId;

/// Streams of one token at once.
pub(super) const PER_TOKEN: usize = 32;
/// Streams at once: half of the listener's connections, so that other requests get their turn.
pub(super) const IN_ALL: usize = 128;
/// Silence after which a stream sends a comment and its token is checked again.
pub(super) const SILENCE: Duration = Duration::from_secs(15);

/// Open streams of each token.
#[derive(Clone, Default)]
pub(super) struct StreamSlots(Arc<Mutex<HashMap<TokenId, usize>>>);

/// The right to one stream, until it is dropped.
pub(super) struct StreamSlot {
    slots: StreamSlots,
    token: TokenId,
}

impl StreamSlots {
    /// Takes a slot, if the token and the API have one left.
    pub fn enter(&self, token: TokenId) -> Option<StreamSlot> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<usize>() >= IN_ALL {
            return None;
        }
        let of_token = open.entry(token).or_default();
        if *of_token >= PER_TOKEN {
            return None;
        }
        *of_token += 1;
        Some(StreamSlot { slots: self.clone(), token })
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut open = self.slots.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_token) = open.get_mut(&self.token) {
            *of_token -= 1;
            if *of_token == 0 {
                open.remove(&self.token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn streams_are_bounded_and_come_free_again() {
        let slots = StreamSlots::default();
        let token = |n: u128| TokenId::new(Uuid::from_u128(n));
        let mut held = Vec::new();
        for n in 0..8 {
            held.extend((0..100).map_while(|_| slots.enter(token(n))));
            let expected = ((usize::try_from(n).unwrap() + 1) * PER_TOKEN).min(IN_ALL);
            assert_eq!(held.len(), expected);
        }
        held.clear();
        assert!(slots.0.lock().unwrap().is_empty(), "a token without streams has no entry");
        assert!(slots.enter(token(1)).is_some());
    }
}
